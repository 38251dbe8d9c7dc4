"""The limit tree of a site file: its checks and its nodes."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from configs.asset_list import named_assets
from configs.problems import nearest
from configs.schema import NodeModel, PowerLimitModel, SiteFile, WindowLimitModel
from configs.site_checks import Problem
from configs.yaml_lines import KeyPath
from station.limits import CurrentLimit, Direction, Limit, LimitClass, PowerLimit
from station.topology import LimitNode


def tree_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield what keeps ``limits`` from being one tree that holds no asset twice."""
    yield from _parent_problems(model.limits)
    yield from _member_problems(model)
    for index, node in enumerate(model.limits):
        yield from _limit_problems(node, ("limits", index))
    yield from _current_problems(model)


def nodes_of(model: SiteFile) -> tuple[LimitNode, ...]:
    """Return the nodes with their members written out."""
    members = members_by_node(model)
    return tuple(
        LimitNode(node.id, node.parent, tuple(members[index]), tuple(_limits(node)))
        for index, node in enumerate(model.limits)
    )


def members_by_node(model: SiteFile) -> list[list[str]]:
    """Return the asset ids that hang directly on each node, patterns written out."""
    known = _member_ids(model)
    return [
        [asset_id for pattern in node.members for asset_id in _matching(pattern, known)]
        for node in model.limits
    ]


def _member_ids(model: SiteFile) -> list[str]:
    return [asset.asset_id for asset in named_assets(model.assets) if asset.kind != "meter"]


def _matching(pattern: str, known: Sequence[str]) -> list[str]:
    return [asset_id for asset_id in known if fnmatchcase(asset_id, pattern)]


def _parent_problems(nodes: Sequence[NodeModel]) -> Iterator[Problem]:
    parents: dict[str, str | None] = {}
    for index, node in enumerate(nodes):
        if node.id in parents:
            yield ("limits", index, "id"), f"'{node.id}' is the id of another node already"
        parents.setdefault(node.id, node.parent)
    roots = [node.id for node in nodes if node.parent is None]
    for index, node in enumerate(nodes):
        if node.parent is None and node.id != roots[0]:
            yield ("limits", index, "id"), f"a second root: '{roots[0]}' has no parent either"
        elif node.parent is not None and node.parent not in parents:
            yield (
                ("limits", index, "parent"),
                f"unknown node '{node.parent}'; {nearest(node.parent, sorted(parents))}",
            )
        elif _is_circular(node.id, parents):
            yield ("limits", index, "parent"), f"'{node.id}' lies above itself: the parents form a circle"
    yield from _root_problems(nodes)


def _is_circular(node_id: str, parents: Mapping[str, str | None]) -> bool:
    above = parents.get(node_id)
    for _ in parents:
        if above is None:
            return False
        if above == node_id:
            return True
        above = parents.get(above)
    return False


def _root_problems(nodes: Sequence[NodeModel]) -> Iterator[Problem]:
    for index, node in enumerate(nodes):
        if node.parent is None and node.import_.hard is None:
            yield (
                ("limits", index, "import"),
                "the root needs a hard import limit: what the connection carries",
            )
        if node.parent is not None and node.import_.window is not None:
            yield (
                ("limits", index, "import", "window"),
                "a billed mean belongs to the root, where the meter is",
            )


def _member_problems(model: SiteFile) -> Iterator[Problem]:
    known = _member_ids(model)
    held_by: dict[str, str] = {}
    for index, node in enumerate(model.limits):
        for place, pattern in enumerate(node.members):
            path: KeyPath = ("limits", index, "members", place)
            matching = _matching(pattern, known)
            if not matching:
                yield path, _unknown_member(model, pattern, known)
            for asset_id in matching:
                if asset_id in held_by:
                    yield path, f"'{asset_id}' hangs on node '{held_by[asset_id]}' already"
                held_by[asset_id] = node.id


def unheld_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield the assets that hang on no node."""
    held = {asset_id for ids in members_by_node(model) for asset_id in ids}
    for asset in named_assets(model.assets):
        if asset.kind != "meter" and asset.asset_id not in held:
            yield asset.path, f"'{asset.asset_id}' is a member of no node, so no limit would count it"


def _unknown_member(model: SiteFile, pattern: str, known: list[str]) -> str:
    if pattern == model.assets.grid_meter.id:
        return "the grid meter measures the root and is a member of no node"
    return f"unknown asset '{pattern}'; {nearest(pattern, known)}"


def _limit_problems(node: NodeModel, path: KeyPath) -> Iterator[Problem]:
    for direction, limit_class, limit in _power_limits(node):
        if not isinstance(limit, PowerLimitModel):
            continue
        here: KeyPath = (*path, str(direction), str(limit_class))
        if (limit.short_time_kw is None) != (limit.short_time_s is None):
            yield here, "short_time_kw and short_time_s go together"
        if limit.short_time_kw is not None and limit.short_time_kw < limit.continuous_kw:
            yield (
                (*here, "short_time_kw"),
                f"{limit.short_time_kw:g} is below continuous_kw {limit.continuous_kw:g}",
            )


def _current_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield current limits above the base load: nobody knows on which phases it draws."""
    base_id = model.assets.base_load.id
    parents = {node.id: node.parent for node in model.limits}
    members = members_by_node(model)
    above = next((node.id for node, ids in zip(model.limits, members, strict=True) if base_id in ids), None)
    path: set[str] = set()
    while above is not None and above not in path:
        path.add(above)
        above = parents.get(above)
    for index, node in enumerate(model.limits):
        if node.current is not None and node.id in path:
            problem = (
                f"the base load '{base_id}' hangs below this node and its phases are not measured;"
                " limit this node in kW, or put the chargers on a node of their own"
            )
            yield ("limits", index, "current"), problem


def _power_limits(
    node: NodeModel,
) -> Iterator[tuple[Direction, LimitClass, PowerLimitModel | WindowLimitModel]]:
    given = (
        (Direction.IMPORT, LimitClass.HARD, node.import_.hard),
        (Direction.IMPORT, LimitClass.OPERATOR, node.import_.operator),
        (Direction.IMPORT, LimitClass.WINDOW, node.import_.window),
        (Direction.EXPORT, LimitClass.HARD, node.export.hard),
        (Direction.EXPORT, LimitClass.OPERATOR, node.export.operator),
    )
    for direction, limit_class, limit in given:
        if limit is not None:
            yield direction, limit_class, limit


def _limits(node: NodeModel) -> Iterator[Limit]:
    for direction, limit_class, limit in _power_limits(node):
        short_time_kw, short_time_s = limit.continuous_kw, 0.0
        if isinstance(limit, PowerLimitModel):
            short_time_kw = limit.short_time_kw if limit.short_time_kw is not None else short_time_kw
            short_time_s = limit.short_time_s if limit.short_time_s is not None else short_time_s
        yield PowerLimit(
            limit_class, direction, limit.continuous_kw, short_time_kw, short_time_s, limit.source
        )
    if node.current is not None:
        yield CurrentLimit(node.current.continuous_a, node.current.source)
