"""Labs made of servers that we did not write. Each accepts every order and puts what it read into a queue."""

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from queue import Queue

import hl7
from hl7.mllp import start_hl7_server
from hl7apy.core import Message, Segment
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from report import DEADLINE_S
from service import free_port

Segments = list[tuple[str, dict[str, str]]]
"""Each segment with its fields and components, as `{"4": …, "4.1": …}`."""
Lab = Callable[[], AbstractContextManager[tuple[int, "Queue[Segments]"]]]
"""The port it listens on, and what it has read."""


class OrderHandler(AbstractHandler):
    """Reads an order into its groups and accepts it."""

    def __init__(self, message: str, received: "Queue[Segments]") -> None:
        super().__init__(message)
        self.received = received

    def reply(self) -> str:
        order = parse_message(self.incoming_message, find_groups=True)
        self.received.put([(segment.name, hl7apy_positions(segment)) for segment in segments_in(order)])
        ack = Message("ACK", version="2.5.1")
        ack.msh.msh_3, ack.msh.msh_4 = order.msh.msh_5.value, order.msh.msh_6.value
        ack.msh.msh_5, ack.msh.msh_6 = order.msh.msh_3.value, order.msh.msh_4.value
        event = order.msh.msh_9.msh_9_2.value
        ack.msh.msh_9, ack.msh.msh_10 = f"ACK^{event}^ACK", f"A{order.msh.msh_10.value}"[:20]
        ack.msh.msh_11, ack.msa.msa_1, ack.msa.msa_2 = "P", "AA", order.msh.msh_10.value
        return ack.to_mllp()


def segments_in(element: object) -> Iterator[Segment]:
    for child in element.children:
        if isinstance(child, Segment):
            yield child
        else:
            yield from segments_in(child)


def hl7apy_positions(segment: Segment) -> dict[str, str]:
    """First repetitions only; hl7apy names a child after its place: `ORC_12`, `XCN_2`."""
    found: dict[str, str] = {}
    for field in segment.children:
        number = field.name.rpartition("_")[2]
        if number in found or (segment.name == "MSH" and number in ("1", "2")):
            continue
        found[number] = field.to_er7()
        for component in field.children:
            place = component.name.rpartition("_")[2]
            found[f"{number}.{place if place.isdigit() else 1}"] = component.to_er7()
    return found


def python_hl7_positions(segment: hl7.Segment) -> dict[str, str]:
    found: dict[str, str] = {}
    for number in range(3 if str(segment[0]) == "MSH" else 1, len(segment)):
        field = segment[number]
        if not str(field):
            continue
        found[str(number)] = str(field)
        repetition = field[0] if isinstance(field, hl7.Container) else field
        components = repetition if isinstance(repetition, hl7.Container) else [repetition]
        found |= {f"{number}.{place}": str(component) for place, component in enumerate(components, 1)}
    return found


@contextmanager
def hl7apy_lab() -> Iterator[tuple[int, "Queue[Segments]"]]:
    """It closes the connection after each message."""
    received: Queue[Segments] = Queue()
    handler = (OrderHandler, received)
    handlers = {"ORM^O01^ORM_O01": handler, "OML^O21^OML_O21": handler}
    with MLLPServer("127.0.0.1", 0, handlers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()


@contextmanager
def python_hl7_lab() -> Iterator[tuple[int, "Queue[Segments]"]]:
    """It keeps the connection open."""
    received: Queue[Segments] = Queue()
    port: Queue[int] = Queue()
    loop = asyncio.new_event_loop()

    async def attend(reader: object, writer: object) -> None:
        # The end of the connection cuts the reading of the next message short.
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await reader.readmessage()
                received.put([(str(segment[0]), python_hl7_positions(segment)) for segment in message])
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await start_hl7_server(attend, "127.0.0.1", 0, encoding="utf-8")
        port.put(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    serving = loop.create_task(serve())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield port.get(timeout=DEADLINE_S), received
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(timeout=DEADLINE_S)


@contextmanager
def node_lab(script: str, *arguments: str) -> Iterator[tuple[int, "Queue[Segments]"]]:
    command = ["node", Path(__file__).with_name(script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ) as lab:
        lines: Queue = Queue()
        threading.Thread(target=lambda: [lines.put(json.loads(line)) for line in lab.stdout], daemon=True).start()
        try:
            yield lines.get(timeout=DEADLINE_S), lines
        finally:
            # It ends with its input; leaving the block first closes its output, which the thread still reads.
            lab.stdin.close()
            lab.wait(timeout=DEADLINE_S)


def medplum_lab() -> AbstractContextManager[tuple[int, "Queue[Segments]"]]:
    """It keeps the connection open."""
    return node_lab("medplum_lab.cjs")


def node_hl7_lab() -> AbstractContextManager[tuple[int, "Queue[Segments]"]]:
    """It keeps the connection open, reads every message on it again with the next one, and answers both in one write."""
    return node_lab("node_hl7_lab.cjs", str(free_port()))


LABS: dict[str, Lab] = {
    "hl7apy: MLLPServer": hl7apy_lab,
    "hl7: start_hl7_server": python_hl7_lab,
    "@medplum/hl7: Hl7Server": medplum_lab,
    "node-hl7-server: Server": node_hl7_lab,
}
