"""The templates of the report's pages, in the folder report/ of the repository."""

from pathlib import Path

import jinja2


def named(path: Path) -> jinja2.Template:
    """A template, which may include others of its folder; HTML is escaped, a slip is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(path.name)
