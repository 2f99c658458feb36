"""A line between a client and a server on loopback that can be cut, or go quiet, at any byte."""

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.mail_server import free_port


class Line:
    """Passes bytes on; after `cut_after` bytes from the server it is cut, or with `hangs` quiet."""

    def __init__(self, port: int) -> None:
        self.target, self.port = port, free_port()
        self.cut_after: int | None = None
        self.hangs = False
        self.count = 0
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.count += 1
            with suppress(OSError):
                far = socket.create_connection(("127.0.0.1", self.target), 5)
                far.settimeout(None)
                threading.Thread(target=self._pass, args=(near, far, None), daemon=True).start()
                left = self.cut_after
                threading.Thread(target=self._pass, args=(far, near, left), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while piece := source.recv(4096 if left is None else min(4096, max(1, left))):
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        if self.hangs:
                            threading.Event().wait(30)
                        break
                target.sendall(piece)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
