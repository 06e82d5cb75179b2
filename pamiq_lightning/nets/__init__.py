"""Plain torch modules. They know nothing of Lightning, processes or files."""
