"""The documentation's generated parts: layer table and diagram, picture of a search, pages of the site."""
