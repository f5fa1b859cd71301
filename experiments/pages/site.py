"""Hooks of the documentation site: the API pages, and the files of the repository that its pages link to.

Pages link to files outside `docs` by relative paths, so that the links work where the repository is read too. The site
shows those files below `repository/`: Markdown as pages, Python as pages of code, all else as it is.
"""

from __future__ import annotations

import importlib
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import invertnas

ROOT = Path(__file__).resolve().parents[2]
DOCS, REPOSITORY, API = "docs", "repository", "api"
LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)#\s]+)")  # relative links and pictures, without their anchors


def api_pages() -> dict[str, str]:
    """Site path -> Markdown: one page for each room of the package that has public names."""
    rooms: dict[str, list[str]] = {}
    for name in sorted(invertnas.__all__):
        module = getattr(invertnas, name).__module__
        rooms.setdefault(module.split(".")[1], []).append(f"{module}.{name}")
    pages = {f"{API}/{room}.md": _api_page(room, names) for room, names in sorted(rooms.items())}
    links = [f"| [{Path(path).stem}]({Path(path).name}) | {_about(Path(path).stem)} |" for path in pages]
    text = "Every public name is importable from `invertnas` itself. The pages follow the package's rooms."
    return {f"{API}/index.md": "\n".join(["# API reference", "", text, "", "| Room | |", "|---|---|", *links]), **pages}


def _api_page(room: str, names: list[str]) -> str:
    return "\n\n".join([f"# {room}", _about(room), *(f"::: {name}" for name in names)])


def _about(room: str) -> str:
    return (importlib.import_module(f"invertnas.{room}").__doc__ or "").partition("\n")[0]


def source_of(uri: str) -> str:
    """Path in the repository of a page of the site."""
    if uri.startswith(f"{REPOSITORY}/"):
        path = uri.removeprefix(f"{REPOSITORY}/")
        return path.removesuffix(".md") if path.endswith(".py.md") else path
    return f"{DOCS}/{uri}"


def uri_of(path: str) -> str:
    """Path in the site of a file of the repository; inverse of `source_of`."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return f"{REPOSITORY}/{path}" + (".md" if path.endswith(".py") else "")


def linked(text: str, source: str) -> Iterator[str]:
    """Repository paths of the files that a page links to; folders and missing files are left to MkDocs to report."""
    for match in LINK.finditer(text):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if not path.startswith("..") and (ROOT / path).is_file():
            yield path


def rewritten(text: str, source: str) -> str:
    """A page's Markdown with its links leading to the site's copies."""

    def move(match: re.Match[str]) -> str:
        paths = list(linked(match[0], source))
        here = posixpath.dirname(uri_of(source)) or "."
        return match[1] + posixpath.relpath(uri_of(paths[0]), here) if paths else match[0]

    return LINK.sub(move, text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the API pages where the navigation says `api`."""
    for entry in config.nav or []:
        for title, value in entry.items():
            if value == API:
                entry[title] = list(api_pages())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API pages, and every file that a page links to, directly or by way of another."""
    for uri, text in api_pages().items():
        files.append(File.generated(config, uri, content=text))
    waiting = [(source_of(file.src_uri), file.content_string) for file in files.documentation_pages()]
    while waiting:
        source, text = waiting.pop()
        for path in linked(text, source):
            uri = uri_of(path)
            if files.get_file_from_path(uri) is not None:
                continue
            files.append(_copied(config, path, uri))
            if path.endswith(".md"):
                waiting.append((path, (ROOT / path).read_text(encoding="utf-8")))
    return files


def _copied(config: MkDocsConfig, path: str, uri: str) -> File:
    if path.endswith(".py"):
        code = (ROOT / path).read_text(encoding="utf-8")
        return File.generated(config, uri, content=f"# {path}\n\n````python\n{code}````\n")
    return File.generated(config, uri, abs_src_path=str(ROOT / path))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of `docs` to the site's copies."""
    return markdown if page.file.src_uri.startswith(f"{API}/") else rewritten(markdown, source_of(page.file.src_uri))
