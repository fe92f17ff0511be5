import Foundation
import MartletTestKit
import Testing

@testable import MartletPython

/// Runs a Python context below a parent that sends what no honest one lets pass.
///
/// The parent is a script: the context has the address 1.2, and `steps` has `send`, `receive`, `call` and what stands
/// between them here.
///
/// - Returns: what `steps` printed, line by line.
func withRawParent(_ interpreter: String, _ steps: String) async throws -> [String] {
    var lines: [String] = []
    try await withFolder { folder in
        try Data(PythonRuntime.program).write(to: URL(filePath: "\(folder)/runtime"))
        let result = try await runProgram(
            ["python3", "-c", rawParent, interpreter, "\(folder)/runtime", steps.dedented], within: .seconds(60))
        #expect(result.exitCode == 0, "\(result.errors)")
        lines = result.output.split(separator: "\n").map(String.init)
    }
    return lines
}

private let rawParent = """
    import os, struct, subprocess, sys

    OPEN, DATA, CREDIT, END, RESET, HELLO, WELCOME, PING, PONG, GOODBYE = 1, 2, 3, 4, 5, 16, 17, 18, 19, 20
    OPENER, LAST = 1, 4
    CONTEXT, SIBLING, CONTROLLER = b"\\1\\2", b"\\1\\3", b""
    # Of the end of a channel: the version, the token, the name, which end.
    END_OF_CHANNEL = b"\\1" + b"t" * 16 + b"n" * 16 + b"\\0"

    def frame(kind, payload=b"", flags=0, number=0, to=b"", source=b""):
        return struct.pack(">BBHIBB", kind, flags, len(payload), number, len(to), len(source)) + to + source + payload

    def send(*fields):
        child.stdin.write(frame(*fields))

    def exactly(count):
        data = b""
        while len(data) < count:
            part = child.stdout.read(count - len(data))
            if not part:
                sys.exit("the context has ended")
            data += part
        return data

    def receive():
        # The next frame but those of the link itself: its kind, number and payload.
        while True:
            kind, flags, size, number, to, source = struct.unpack(">BBHIBB", exactly(10))
            exactly(to + source)
            payload = exactly(size)
            if kind == PING:
                send(PONG)
            elif kind < HELLO:
                return kind, number, payload

    def text(value):
        value = value.encode()
        return b"\\x79" + struct.pack(">H", len(value)) + value

    def execute(number, source):
        # Calls for a fragment, and returns the number of the stream to its channel.
        channel = b"\\xa1" + text("martlet.channel") + b"\\x58" + bytes([len(END_OF_CHANNEL)]) + END_OF_CHANNEL
        arguments = b"\\x82\\x84" + text(source) + text("far.py") + channel + b"\\xf6" + b"\\xa0"
        request = b"\\0\\0\\0\\0" + struct.pack(">H", 5) + b"!exec" + arguments
        send(OPEN, b"\\1" + request, OPENER | LAST, number, CONTEXT, CONTROLLER)
        kind, number, payload = receive()
        assert kind == OPEN and payload == b"\\7" + b"t" * 16, (kind, payload)
        return number

    def echo():
        send(OPEN, b"\\5alive", OPENER | LAST, 999, CONTEXT, CONTROLLER)
        kind, number, payload = receive()
        print(payload.decode() if (kind, number) == (END, 999) else (kind, number, payload))

    interpreter, program, steps = sys.argv[1:]
    with open(program, "rb") as file:
        program = file.read()
    loader = "import os,zlib;f=os.fdopen(0,'rb');exec(compile(zlib.decompress(f.read(%d)),'martlet','exec'),"
    loader = loader % len(program) + "{'__name__':'martlet','f':f})"
    nonce = "0" * 32
    child = subprocess.Popen(
        [interpreter, "-S", "-u", "-c", loader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        env=dict(os.environ, MARTLET_AGENT=nonce))
    try:
        child.stdin.write(program)
        assert exactly(9 + len(nonce)) == b"\\0MARTLET\\0" + nonce.encode()
        assert exactly(1)[0] == HELLO
        exactly(struct.unpack(">BHIBB", exactly(9))[1])
        # A map: the address, the limit in milliseconds, the title.
        send(WELCOME, b"\\xa3" + text("address") + b"\\x82\\1\\2" + text("heartbeatLimit") + b"\\x19\\xea\\x60"
            + text("title") + text("raw"))
        exec(steps)
        send(GOODBYE)
        while child.stdout.read(65536):
            pass
    finally:
        child.stdin.close()
        child.wait()
    """
