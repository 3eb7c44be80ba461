"""Placeholders and shapes in what expected/*.json holds."""

import re


def fill(template, values):
    """Puts values for `{name}` into every text; a text that is nothing else becomes the value."""
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if not isinstance(template, str):
        return template
    whole = re.fullmatch(r"\{(\w+)\}", template)
    if whole and whole[1] in values:
        return values[whole[1]]
    return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), template)


def expand(node, shapes):
    """Replaces every `{"$shape": name, …values}` by the shape of that name, filled in."""
    if isinstance(node, list):
        return [expand(item, shapes) for item in node]
    if not isinstance(node, dict):
        return node
    if "$shape" in node:
        values = {key: value for key, value in node.items() if key != "$shape"}
        return expand(fill(shapes[node["$shape"]], values), shapes)
    return {key: expand(value, shapes) for key, value in node.items()}
