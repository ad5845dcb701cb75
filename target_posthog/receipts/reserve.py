"""Reserve of room on the disk of the receipts, for those of what PostHog has acknowledged when the disk is full.

Takes the paths of the files that grow; raises OSError where they can't grow by so much. Its own file has no name, so
that nothing is left of it however the process ends.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What a file system says that can't set room aside; macOS has no such call at all.
NOT_THERE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV)


class Reserve:
    """So many bytes that are set aside beside some files, or, where that can't be, were free when this was made."""

    def __init__(self, files: Sequence[Path], size_bytes: int) -> None:
        self._files = files
        self._size_bytes = size_bytes
        self._is_given_back = False
        file = tempfile.TemporaryFile(dir=files[0].parent)  # noqa: SIM115  # it is open as long as this is there
        self._close = weakref.finalize(self, file.close)
        self._set_aside(file.fileno())
        self.check()

    def _set_aside(self, descriptor: int) -> None:
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except AttributeError:
            pass
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise self._no_room(error.errno) from None
        else:
            return
        if shutil.disk_usage(self._files[0].parent).free < self._size_bytes:
            raise self._no_room(errno.ENOSPC)

    def check(self) -> None:
        """Raise OSError where the room has been given back, or a file would be larger than this process may write."""
        if self._is_given_back:
            raise self._no_room(errno.ENOSPC)
        largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if largest == resource.RLIM_INFINITY:
            return
        if any(file.exists() and file.stat().st_size + self._size_bytes > largest for file in self._files):
            raise self._no_room(errno.EFBIG)

    def _no_room(self, number: int | None) -> OSError:
        reason = os.strerror(number or errno.EIO)
        return OSError(number, f"{reason}: receipts need {self._size_bytes:,} bytes more")

    def give_back(self) -> None:
        """Free the room, for what must be written now."""
        self._is_given_back = True
        self._close()
