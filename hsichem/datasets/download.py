"""One file of the manifest, from a folder or the network: kept only if its checksum is the manifest's."""

import io
import os
import shutil
from functools import partial
from pathlib import Path

import pooch

from hsichem._base import InputError

pooch.get_logger().setLevel("WARNING")  # its messages would put the machine's paths into notebooks


class AtMost(io.BufferedWriter):
    """Refuses more bytes than the manifest states: a server could send without end."""

    most: int

    def write(self, chunk):
        if self.tell() + len(chunk) > self.most:
            raise ValueError(f"more than the {self.most} bytes that the manifest states")
        return super().write(chunk)


def fetch_file(name: str, file: dict, folder: Path) -> None:
    """Bring a `file` of the data set `name` to its path in `folder`, unless it is there.

    It is taken from HSICHEM_DATA_MIRROR/<name>/ if that is set and has it, else from its address. Raises InputError
    when it cannot be had or its checksum is not the manifest's; nothing is kept of it then.
    """
    mirror = os.environ.get("HSICHEM_DATA_MIRROR")
    local = Path(mirror, name, file["path"]) if mirror else None
    copy = local is not None and local.is_file()
    if not copy and not file["url"] and not (folder / file["path"]).is_file():
        raise InputError(
            f"{name}: {file['path']} has no public address. Set HSICHEM_DATA_MIRROR to a folder that holds "
            f"{name}/{file['path']}."
        )
    store = pooch.create(
        folder,
        base_url="",
        registry={file["path"]: f"sha256:{file['sha256']}"},
        urls={file["path"]: str(local) if copy else file["url"] or ""},
        retry_if_failed=3 if file["url"] and not copy else 0,
    )
    download = partial(_copy, local) if copy else partial(_download, file["bytes"])
    try:
        store.fetch(file["path"], downloader=download)
    except (ValueError, OSError) as error:  # what requests raises is an OSError, too
        source = local if copy else file["url"]
        raise InputError(f"{name}: {file['path']} could not be fetched from {source}: {error}") from None


def _copy(local: Path, url, output_file, store) -> None:
    shutil.copyfile(local, output_file)


def _download(most: int, url, output_file, store) -> None:
    with AtMost(io.FileIO(output_file, "w")) as file:
        file.most = most
        pooch.HTTPDownloader(progressbar=True)(url, file, store)
