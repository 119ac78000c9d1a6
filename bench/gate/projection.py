"""What a fleet needs: measured unit costs, and arithmetic that is shown."""


def text() -> str:
    """Placeholder."""
    return ""
