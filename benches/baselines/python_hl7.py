"""Results into PostgreSQL with python-hl7's asyncio MLLP server and asyncpg, acknowledged once they are committed.

Prints its port. It ends with its standard input, so with whoever started it.
"""

import asyncio
import sys
from asyncio import IncompleteReadError

import asyncpg
import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

INSERT_MESSAGE = "INSERT INTO messages (control_id, raw) VALUES ($1, $2) RETURNING id"
INSERT_RESULTS = """
    INSERT INTO results (message_id, mrn, code, name, value, units, reference_range, abnormal_flag, status)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
"""


def result_in(obx: hl7.Segment) -> list[str]:
    code, name = str(obx[3][0][0]), str(obx[3][0][1])
    return [code, name, *(str(obx[position]) for position in (5, 6, 7, 8, 11))]


async def store(pool: asyncpg.Pool, message: hl7.Message) -> None:
    control_id, mrn = str(message.segment("MSH")[10]), str(message.segment("PID")[3][0][0])
    columns = zip(*map(result_in, message.segments("OBX")))
    async with pool.acquire() as connection, connection.transaction():
        message_id = await connection.fetchval(INSERT_MESSAGE, control_id, str(message))
        await connection.execute(INSERT_RESULTS, message_id, mrn, *map(list, columns))


async def main() -> None:
    # As many connections as pms takes; PGHOST and the like say where to.
    async with asyncpg.create_pool(min_size=0, max_size=12) as pool:

        async def serve(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
            try:
                while True:
                    message = await reader.readmessage()
                    await store(pool, message)
                    writer.writemessage(message.create_ack())
                    await writer.drain()
            except IncompleteReadError:
                writer.close()

        server = await start_hl7_server(serve, host="127.0.0.1", port=0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()


asyncio.run(main())
