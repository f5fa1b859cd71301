"""What is trained or scored once for each space and then shipped."""
