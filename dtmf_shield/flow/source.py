"""A flow file as text: YAML 1.2 to plain data, with the place of every key and value.

Composed to nodes first, so that what YAML would change silently is told instead: numbers where digits are meant, a null
where somebody wrote a bare #, one key twice. Anchors, aliases and tags are refused: a flow says what it means.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from dtmf_shield.flow.finding import Finding, Path

FLOW_CHARACTERS_MAX: Final = 200_000
DEPTH_MAX: Final = 12
"""A flow is at most eight levels deep; more is no flow."""
NODES_MAX: Final = 20_000

_CORE: Final = "tag:yaml.org,2002:"
_BARE_HASH: Final = re.compile(r":\s+#\s*[,}\]]")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")


@dataclass(slots=True)
class Source:
    """A parsed file. ``places``: path to (line, column) of the value; ``keys``: of the key; both from 1."""

    file: str
    data: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    """What plain scalars look like in the file, where YAML reads them as no text."""
    findings: list[Finding] = field(default_factory=list)

    def add(self, rule: str, path: Path, found: str, allowed: str, place: tuple[int, int]) -> None:
        """Note a finding at a place."""
        self.findings.append(Finding(rule, path, found, allowed).at(self.file, *place))

    def located(self, finding: Finding, *, at_key: bool = False) -> Finding:
        """Return a finding with the place of its path, or of the nearest level above that the file has."""
        path = finding.path
        first, second = (self.keys, self.places) if at_key else (self.places, self.keys)
        while path and path not in first and path not in second:
            path = path[:-1]
        line, column = first.get(path) or second.get(path) or (1, 1)
        return finding.at(self.file, line, column)


def parse(text: str, *, file: str) -> Source:
    """Read a file. What cannot be read is among the findings; then ``data`` is None or holds the rest."""
    source = Source(file)
    if len(text) > FLOW_CHARACTERS_MAX:
        source.add("size", (), f"{len(text)} characters", f"{FLOW_CHARACTERS_MAX}; split the flow", (1, 1))
        return source
    if _deepest_flow_level(text) > DEPTH_MAX * 2:
        source.add("depth", (), "brackets nested deeper than any flow", f"{DEPTH_MAX} levels", (1, 1))
        return source
    try:
        root = YAML(typ="rt", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        source.add(*_yaml_fault(error, text))
        return source
    except YAMLError as error:
        source.add("yaml", (), str(error).splitlines()[0], "YAML 1.2 text", (1, 1))
        return source
    if root is None:
        source.add("yaml", (), "an empty file", "a flow; see `dtmf-shield flow new`", (1, 1))
        return source
    source.data = _plain(source, root, ())
    if "!" in text:
        _refuse_tags(source, text)
    return source


def _refuse_tags(source: Source, text: str) -> None:
    """Refuse tags that nodes no longer show, such as !!str."""
    for event in YAML(typ="rt", pure=True).parse(io.StringIO(text)):
        tag = getattr(event, "ctag", None) if isinstance(event, NodeEvent) else None
        if tag is not None:
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            path = next((path for path, at in source.places.items() if at == place), ())
            source.add("yaml-tag", path, f"the tag {tag}", "the value plainly: tags are refused", place)


def _deepest_flow_level(text: str) -> int:
    """Bound the recursion of the YAML parser before it starts."""
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    indents = (len(line) - len(line.lstrip(" -")) for line in text.splitlines())
    return max(deepest, max(indents, default=0) // 4)


_Fault = tuple[str, Path, str, str, tuple[int, int]]


def _yaml_fault(error: MarkedYAMLError, text: str) -> _Fault:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    near = lines[line - 1][column - 1 :] if line <= len(lines) else ""
    problem = (error.problem or "").strip()
    if (
        "alias" in problem
        or "alias" in str(error.context or "")
        or "anchor" in problem
        or near[:1] in ("*", "&")
    ):
        return (
            "yaml-alias",
            (),
            "an anchor or alias",
            "plain values; for the star key write: star",
            (line, column),
        )
    if "alphabetic" in problem or near[:1] == "*":
        return "yaml-alias", (), "an alias", "plain values; for the star key write: star", (line, column)
    comments = [at for at, bare in enumerate(lines[:line], 1) if _BARE_HASH.search(bare)]
    if comments:
        found = f"a bare # in line {comments[-1]}, which begins a comment, then {problem}"
        return "yaml", (), found, "for the hash key write: hash", (comments[-1], 1)
    return (
        "yaml",
        (),
        f"not YAML: {problem}",
        "YAML 1.2: indent by spaces, quote what holds : or #",
        (line, column),
    )


def _plain(source: Source, node: Node, path: Path) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    source.places.setdefault(path, place)
    if len(source.places) > NODES_MAX or len(path) > DEPTH_MAX:
        source.add("depth", path, "more levels or values than any flow has", f"{DEPTH_MAX} levels", place)
        return None
    if node.anchor:
        source.add(
            "yaml-alias", path, f"the anchor &{node.anchor}", "plain values: anchors are refused", place
        )
    tag = str(getattr(node, "tag", "") or "")
    if isinstance(node, MappingNode):
        return _mapping(source, node, path)
    if isinstance(node, SequenceNode):
        return [_plain(source, item, (*path, index)) for index, item in enumerate(node.value)]
    if not isinstance(node, ScalarNode):
        return None
    return _scalar(source, node, path, tag.removeprefix(_CORE))


def _scalar(source: Source, node: ScalarNode, path: Path, tag: str) -> Any:
    if tag in ("str", "timestamp", "value", "merge"):
        return node.value
    source.texts[path] = node.value
    match tag:
        case "null":
            return None
        case "bool":
            return node.value.lower() == "true"
        case "int" if _INTEGER.fullmatch(node.value):
            return int(node.value)
        case "float":
            try:
                return float(node.value)
            except ValueError:
                return node.value
    return node.value


def _mapping(source: Source, node: MappingNode, path: Path) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        key = key_node.value if isinstance(key_node, ScalarNode) else None
        if key is None:
            source.add("yaml", path, "a key that is no word", "words as keys", place)
            continue
        if str(key_node.tag) not in (f"{_CORE}str", f"{_CORE}value"):
            _refuse_key(source, path, key, str(key_node.tag), place)
        if key in result:
            first = source.keys[(*path, key)]
            found = f"{key} twice, first in line {first[0]}"
            source.add("key-twice", (*path, key), found, "each key once", place)
            continue
        source.keys[(*path, key)] = place
        result[key] = _plain(source, value_node, (*path, key))
    return result


def _refuse_key(source: Source, path: Path, key: str, tag: str, place: tuple[int, int]) -> None:
    kind = tag.removeprefix(_CORE)
    source.add(
        "key-quoted",
        (*path, key),
        f"{key or 'nothing'}, which YAML reads as {kind}",
        f'in quotes: "{key}"',
        place,
    )
