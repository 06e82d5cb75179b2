"""What people see and press: terminal, keyboard, the live page and its HTTP server."""
