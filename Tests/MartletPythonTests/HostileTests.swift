import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletPython

/// What others in the tree may do to a Python context, and what not.
@Suite(.leakChecked) struct HostileTests {
    @Test func `Who opens a stream of no kind ends its own link, not the far context`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let victim = try await martlet.connect(.local, runtime: .python)
            let offender = try await martlet.connect(.local, runtime: .python)
            let address = victim.exec("channel.send(bytearray(channel.stream.frame.__func__.__globals__['State'].me))")
            let to = try #require(try await address.receive())
            try await address.finished()
            let offence = offender.exec(
                """
                runtime = channel.stream.frame.__func__.__globals__
                runtime["frame"](1, b"", 1, 999, bytes(channel.receive()), runtime["State"].me)
                channel.receive()
                """, deadline: .seconds(30))
            try await offence.send(to)
            let error = try await #require(throws: MartletError.self) { try await offence.finished() }
            #expect(error.code == .contextLost && error.message.contains("broke the protocol"), "\(error)")
            #expect(try await victim.call("len", "abc", deadline: .seconds(30)) == 3)
        }
    }

    @Test(arguments: Interpreters.all)
    func `Frames without the byte that they begin with end a stream at most`(interpreter: String) async throws {
        let lines = try await withRawParent(
            interpreter,
            """
            for number, source in (5, SIBLING), (6, CONTROLLER):
                send(OPEN, b"", OPENER, number, CONTEXT, source)
                kind, answered, payload = receive()
                print(kind == RESET and answered == number and payload[0])
            echo()
            number = execute(7, "channel.waitclose()")
            send(RESET, b"", 0, number, CONTEXT, CONTROLLER)
            kind, number, payload = receive()
            print(kind == END and number == 7 and b"was lost" in payload)
            echo()
            """)
        #expect(lines == ["7", "7", "alive", "True", "alive"])
    }

    @Test(arguments: Interpreters.all)
    func `An item that claims to be larger than any may be is not gathered`(interpreter: String) async throws {
        let lines = try await withRawParent(
            interpreter,
            """
            source = '''
            try:
                channel.receive()
            except ValueError as error:
                first = str(error)
            try:
                channel.receive()
            except EOFError:
                raise KeyError(first)
            '''
            number = execute(7, source)
            send(DATA, b"\\xff\\xff\\xff\\xfe" + b"x" * 60000, 8, number, CONTEXT, CONTROLLER)
            kind, answered, payload = receive()
            print(kind == RESET and answered == number and payload[0])
            kind, answered, payload = receive()
            print(kind == END and answered == 7 and b"an item of more than 64 MiB" in payload)
            echo()
            """)
        #expect(lines == ["6", "True", "alive"])
    }

    /// Sends `item`, Python code for bytes, as an item over one end of a channel, and does `body` with the other.
    private func receiving(_ item: String, _ body: String) -> String {
        """
        import struct, sys, threading
        other, mine = channel.receive()
        item = \(item)
        sender = threading.Thread(target=other.stream.send, args=(struct.pack(">I", len(item)) + item, False, 8))
        sender.start()
        \(body)
        sender.join()
        """
    }

    @Test(arguments: Interpreters.all, ["9a", "ba"])
    func `An item that claims more values than it has bytes costs nothing, and the next one comes`(
        interpreter: String, head: String
    ) async throws {
        try await withPython(interpreter) { py in
            let (near, far) = py.makeChannel(of: PythonValue.self)
            let fragment = py.exec(
                receiving(
                    "b'\\x\(head)\\x00\\xff\\xff\\xff'",
                    """
                    try:
                        mine.receive()
                    except ValueError as error:
                        channel.send(str(error))
                    other.send("next")
                    channel.send(mine.receive())
                    """))
            try await fragment.send(.tuple([.channel(near), .channel(far)]))
            #expect(try await fragment.receive() == "no CBOR")
            #expect(try await fragment.receive() == "next")
            try await fragment.finished()
        }
    }

    @Test(arguments: Interpreters.all)
    func `While a large item is read the context's other threads use their channels`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let (near, far) = py.makeChannel(of: PythonValue.self)
            let fragment = py.exec(
                receiving(
                    "struct.pack('>BI', 0x9a, 1 << 22) + b'\\x01' * (1 << 22)",
                    """
                    reader = threading.current_thread().ident
                    is_over = []

                    def is_decoding():
                        frame = sys._current_frames().get(reader)
                        while frame and frame.f_code.co_name != "decode":
                            frame = frame.f_back
                        return frame is not None

                    def watch():
                        while not is_over:
                            if is_decoding():
                                mine.send(1)
                                if is_decoding():
                                    return channel.send("meanwhile")
                        channel.send("never")

                    watcher = threading.Thread(target=watch)
                    watcher.start()
                    count = len(mine.receive())
                    is_over.append(1)
                    watcher.join()
                    channel.send(count)
                    """))
            try await fragment.send(.tuple([.channel(near), .channel(far)]))
            #expect(try await fragment.receive() == "meanwhile")
            #expect(try await fragment.receive() == .int(1 << 22))
            try await fragment.finished()
        }
    }
}
