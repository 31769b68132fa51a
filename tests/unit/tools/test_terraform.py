"""The wrapper bin/terraform."""

import shutil
import subprocess
from pathlib import Path

from tools.fleet.context import ROOT


def test_wrappers_of_several_clones_on_the_path_skip_each_other(tmp_path: Path) -> None:
    for clone in ("one", "other"):
        (tmp_path / clone / "bin").mkdir(parents=True)
        shutil.copy(ROOT / "bin/terraform", tmp_path / clone / "bin/terraform")
    real = tmp_path / "real" / "terraform"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\necho "the real terraform: $*"\n')
    real.chmod(0o755)
    path = f"{tmp_path}/one/bin:{tmp_path}/other/bin:{real.parent}:/usr/bin:/bin"
    result = subprocess.run(
        ["terraform", "version"], env={"PATH": path}, capture_output=True, text=True, timeout=10, check=True
    )
    assert result.stdout == "the real terraform: version\n"
