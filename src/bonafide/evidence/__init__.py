"""Evidence, one module or package for each format; formats never import each other."""
