"""Integration times, wherever cameras write them, and what they make of a reflectance."""

import re
import warnings

import numpy as np

from hsichem._base import InputError, short, to_float
from hsichem.loaders.envi_header import header_text

# The frame whose integration time a reference should have; a dark frame can also be that frame's last lines.
BESIDE = {"white": "scene", "dark": "scene", "white dark": "white"}
TIME = re.compile(
    r"(tint\d?|t int|shutter( time| speed)?|((camera|sensor) )?((integration|exposure)( ?time)?|int\.? ?time)"
    r"|integrationszeit|belichtungszeit)( ?[([].*[])]| (in )?(ms|[uµμ]s|s))?"
)
NOTE = re.compile(r"(?P<key>[^=:]*[^=:\s])\s*[=:]\s*(?P<value>\S.*)")
AMOUNT = re.compile(r"(?P<number>[^\s\w]?[\d.]\S*?)\s*(?P<unit>[a-zµμ]*)", re.IGNORECASE)  # 8.5 ms
LONGEST = 80  # characters of a time
# Cameras that write their integration time, by what their headers or the names of their files have
CAMERAS = {"HySpex": r"hyspex|(vnir|swir|mjolnir|baldur)[ _-]?\w{0,40}_sn\d+", "Headwall's MV.X": r"\bmv\.?x\b"}
CAMERAS |= {"Specim's": r"\b(specim|lumo)\b", "Resonon's": r"\b(resonon|pika)\b"}


def exposure_times(header: dict, path) -> dict[str, str]:
    """The integration times that a header states, by their keys in lower case; {} where it states none.

    header: as envi_header.parse has it. Where none of its keys is a time, the lines `key = value` or `key: value` of
    its description (HySpex) and its comments (Headwall's MV.X) are looked at. Raises InputError when these contradict.
    """
    times = {_plain(key): value for key, value in header.items() if isinstance(value, str)}
    if times := {key: value for key, value in times.items() if TIME.fullmatch(key)}:
        return times
    for line in re.split(r"[\n;{}]|,(?!\d)", header_text(path)):
        note = NOTE.fullmatch(line.strip())
        if not note or not TIME.fullmatch(key := _plain(note["key"])):
            continue
        if times.setdefault(key, note["value"]) != note["value"]:
            raise InputError(
                f"{path}: '{key}' is {short(times[key])} and {short(note['value'])} in its description or comments; "
                "remove the wrong one."
            )
    return times


def exposure_factor(headers: dict[str, dict], paths: dict) -> float:
    """Integration time of the white reference over that of the scene, from the headers; 1 where they do not say.

    Warns when it is not 1, when only one header states it or a camera known to write it did not, and of a dark frame
    taken at another time than what it is subtracted from.
    Raises InputError when the times differ and are no numbers, a camera's two sensors differ in it, or gains differ.
    """
    gains = [short(headers[kind]["gain"]) for kind in ("scene", "white") if "gain" in headers[kind]]
    if len({to_float(gain.strip("'")) or gain for gain in gains}) > 1:
        raise InputError(
            f"{paths['white']}: the camera's gain is {gains[1]}, that of the scene {gains[0]}; capture both at one."
        )
    times = {kind: exposure_times(header, paths[kind]) for kind, header in headers.items()}
    factor = 1.0
    for kind, other in BESIDE.items():
        ratios = _ratios(times[kind], times[other], paths[kind]) if kind in headers else {}
        if kind == "white" and not ratios and (said := _unknown(times, headers, paths)):
            warnings.warn(said, stacklevel=3)
        if set(ratios.values()) <= {1.0}:
            continue
        if kind == "white":
            factor, *others = set(ratios.values())
            if others:
                raise InputError(
                    f"{paths[kind]}: against the scene, integration times differ by {ratios}; one factor is needed."
                )
            said = f"integration time {factor:g} times that of the scene; reflectance is scaled by it."
        else:
            said = "dark frame of another integration time than what it is subtracted from; used as it is, for a dark "
            said += "count does not simply grow with time."
        warnings.warn(f"{paths[kind]}: {said}", stacklevel=3)
    return factor


def _ratios(times: dict, others: dict, path) -> dict[str, float]:
    ratios = {}
    for key in sorted(times.keys() & others.keys()):
        (time, unit), (other, other_unit) = _amount(times[key]), _amount(others[key])
        if times[key] == others[key]:
            ratios[key] = 1.0
        elif unit != other_unit or None in (time, other) or not (0 < time < np.inf and 0 < other < np.inf):
            raise InputError(
                f"{path}: '{key}' is {short(times[key])}, beside it {short(others[key])}; expected numbers, one unit."
            )
        else:
            ratios[key] = time / other
    return ratios


def _unknown(times: dict, headers: dict, paths: dict) -> str | None:
    """What is to be said where white and scene have no time in common."""
    fix = "If they were not the same, write 'tint = ...' into both headers."
    if stated := {kind: times[kind] for kind in ("scene", "white") if times[kind]}:
        listed = ", ".join(
            f"{kind}: {', '.join(f'{key} {value}' for key, value in stated[kind].items())}" for kind in stated
        )
        return f"{paths['white']}: scene and white reference state no integration time in common ({listed}). {fix}"
    text = f"{paths['scene'].name}\n{header_text(paths['scene'])}"
    for camera, pattern in CAMERAS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return (
                f"{paths['scene']}: {camera} cameras write their integration time, and this header has none, so scene "
                f"and white reference are taken for equally long. {fix}"
            )
    return None


def _amount(text: str) -> tuple[float | None, str]:
    match = AMOUNT.fullmatch(text.strip()) if len(text) < LONGEST else None
    return (to_float(match["number"]), match["unit"].lower()) if match else (None, "")


def _plain(key: str) -> str:
    return " ".join(key.lower().replace("_", " ").split())
