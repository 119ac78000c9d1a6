"""A small shop with an app: customers, their orders, and an API that the app calls."""
