"""What every script needs: flags and errors, cores, plotting style."""
