"""A moving picture on a page of its own: its script, with its scene in place of a kernel."""

import base64
import json


def page_of(picture) -> str:
    """HTML that shows the picture as a notebook does."""
    scene = {
        name: {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in picture.scene.items()
    }
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>picture</title>
<meta name="viewport" content="width=device-width">
<style>:root {{ color-scheme: light dark }} {picture._css}</style><body>
<script type="module">{picture._esm.replace("export default { render };", "")}
const unpacked = (value) => value?.bytes === undefined ? value :
  new DataView(Uint8Array.from(atob(value.bytes), (c) => c.charCodeAt(0)).buffer);
const kept = Object.fromEntries(Object.entries({json.dumps(scene)}).map(([name, value]) => [name, unpacked(value)]));
render({{ model: {{ get: () => kept }}, el: document.body }});
</script>"""
