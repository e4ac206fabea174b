"""What mkdocs.yml cannot say: the pages are written for plain GitHub, and link to files outside docs/.

README.md is the home page. Any other file or folder that a page links to is a page of the site under source/, and links
are changed to lead there. api.md lists what `import minifcn` gives. Mathematics becomes MathML, which needs no script.
"""

import html
import posixpath
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

import minifcn
from docs import pages

AS_THEY_ARE = {".jpg", ".json", ".md", ".png", ".svg"}  # MkDocs copies or renders them
LANGUAGES = {".cu": "cuda", ".html": "html", ".json": "json", ".py": "python", ".toml": "toml", ".yml": "yaml"}
paths: dict[str, Path] = {}  # of the pages: name in the site -> file


def on_config(config):
    course = next(item["Course"] for item in config.nav if "Course" in item)
    for number, chapter in enumerate(pages.chapters(), 1):
        title = chapter.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        course.append({f"{number}. {title}": chapter.relative_to(pages.DOCS).as_posix()})


def on_files(files, config):
    paths.clear()
    paths.update({file.src_uri: pages.DOCS / file.src_uri for file in files.documentation_pages()})
    paths["index.md"] = pages.ROOT / "README.md"
    todo = list(paths)
    files.append(File.generated(config, "api.md", content=reference()))
    while todo:
        name = todo.pop()
        text = content(paths[name]) if name.endswith(".md") else ""
        if name not in files.src_uris:
            files.append(File.generated(config, name, content=text or paths[name].read_bytes()))
        for target in pages.targets(text):
            path = aim(target, paths[name])[0]
            if path.exists() and in_site(path) not in (*files.src_uris, *paths):
                paths[in_site(path)] = path
                todo.append(in_site(path))


def on_page_markdown(markdown, page, **_):
    here = page.file.src_uri
    markdown = markdown.replace("<details>", "<details markdown>")
    return pages.relink(markdown, lambda target: moved(target, here)) if here in paths else markdown


def on_page_content(html_text, **_):
    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', mathml, html_text, flags=re.DOTALL)


def aim(target: str, page: Path) -> tuple[Path, str]:
    """Return the file that a page's link leads to, and the part after #."""
    path, _, anchor = target.partition("#")
    return (page.parent / path).resolve() if path else page, anchor


def in_site(path: Path) -> str:
    """Return a file's or folder's name in the site."""
    if path == pages.ROOT / "README.md":
        return "index.md"
    if path.is_dir() and (path / "README.md").exists():
        path = path / "README.md"
    if path.is_relative_to(pages.DOCS) and path.suffix in AS_THEY_ARE:
        return path.relative_to(pages.DOCS).as_posix()
    return f"source/{path.relative_to(pages.ROOT).as_posix()}" + ("" if path.suffix in AS_THEY_ARE else ".md")


def moved(target: str, here: str) -> str:
    path, anchor = aim(target, paths[here])
    if not path.exists():
        return target  # MkDocs says so
    return posixpath.relpath(in_site(path), posixpath.dirname(here)) + ("#" + anchor if anchor else "")


def content(path: Path) -> str:
    """Return the page of a file or folder."""
    name = f"# `{path.relative_to(pages.ROOT).as_posix()}`\n\n"
    if path.is_dir():
        files = [file.name for file in sorted(path.iterdir()) if file.is_file()]
        return name + "\n".join(f"- [{file}]({path.name}/{file})" for file in files)
    text = path.read_text(encoding="utf-8")
    return text if path.suffix == ".md" else f"{name}````````{LANGUAGES.get(path.suffix, 'text')}\n{text}````````\n"


def reference() -> str:
    """Return the page of all public names, which mkdocstrings fills in from their docstrings."""
    lines = ["# API reference", "What `import minifcn as mf` gives. `mf.models.fcn32s` is `FCN32s`, and so on."]
    for module in (minifcn, minifcn.models, minifcn.optim, minifcn.metrics):
        lines.append(f"## {module.__name__}")
        lines += [f"::: {value.__module__}.{value.__name__}" for value in public(module)]
    return "\n\n".join(lines) + "\n"


def public(module) -> list:
    """Return the functions and classes that a module gives, in its order, each once."""
    found = {name: value for name, value in vars(module).items() if name[0] != "_" and callable(value)}
    own = [value for name, value in found.items() if name == value.__name__]
    return [value for value in own if value.__module__.startswith(module.__name__)]


def mathml(found) -> str:
    return convert(html.unescape(found[2]), display="block" if found[1] == "div" else "inline")
