"""The command line as a shell sees it."""

from services.cli import main


def status(*arguments: object) -> int:
    """What a shell would see of `comics` with these arguments."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
