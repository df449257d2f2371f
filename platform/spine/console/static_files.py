"""Our style sheet and script, under addresses that change with their content."""

from fastapi import APIRouter
from fastapi.responses import Response

from spine.console.render import static_files, static_version
from spine.errors import NotFound

router = APIRouter()

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@router.get("/static/{version}/{name}")
def get_static(version: str, name: str) -> Response:
    """Raises NotFound, also for an earlier version: what a browser kept, it does not ask for."""
    content = static_files().get(name)
    if content is None or version != static_version():
        raise NotFound(f"there is no file {name!r} of version {version!r}")
    return Response(content, media_type=_KINDS[name[name.rindex(".") :]], headers=_FOR_EVER)
