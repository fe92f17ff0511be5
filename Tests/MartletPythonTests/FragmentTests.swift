import Martlet
import MartletTestKit
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct FragmentTests {
    @Test(arguments: Interpreters.all)
    func `A fragment answers over its channel, and then is at its end`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let fragment = py.exec("channel.send(channel.receive() + 1)")
            try await fragment.send(1)
            #expect(try await fragment.receive() == 2)
            #expect(try await fragment.receive() == nil)
            #expect(try await fragment.receive() == nil)
            try await fragment.finished()
            let name = py.exec(
                "channel.send(__name__)\nfor i in range(3): channel.send(i)", receiving: PythonValue.self)
            var items: [PythonValue] = []
            for try await item in name { items.append(item) }
            #expect(items == ["__channelexec__", 0, 1, 2])
        }
    }

    @Test(arguments: Interpreters.all)
    func `An exception ends it, once, with file and line`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let source = """
                def run_me():
                    channel.send(17)
                    raise KeyError("no")
                run_me()
                """
            let fragment = py.exec(source, file: "remotetest.py")
            #expect(try await fragment.receive() == 17)
            let error = try await #require(throws: PythonError.self) { _ = try await fragment.receive() }
            #expect(error.type == "KeyError")
            #expect(error.traceback.contains("remotetest.py\", line 3, in run_me"))
            #expect(error.traceback.contains("raise KeyError(\"no\")"))
            #expect(try await fragment.receive() == nil)
            await #expect(throws: PythonError.self) { try await fragment.finished() }
            let syntax = py.exec("def f(:\n  pass\n")
            let wrong = try await #require(throws: PythonError.self) { _ = try await syntax.receive() }
            #expect(wrong.type == "SyntaxError")
            #expect(wrong.traceback.contains("<remote exec>"))
            let name = py.exec("no_such_name")
            let unknown = try await #require(throws: PythonError.self) {
                try await name.waitClose(timeout: .seconds(30))
            }
            #expect(unknown.type == "NameError")
            let unusable = py.exec("channel.send(object())")
            let value = try await #require(throws: PythonError.self) { _ = try await unusable.receive() }
            #expect(value.message.contains("without a form on the wire"))
        }
    }

    @Test(arguments: Interpreters.all)
    func `The channel there does what one of execnet's does`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let source = """
                import time
                channel.send(channel.isclosed())
                try:
                    channel.receive(0.05)
                except channel.TimeoutError:
                    channel.send("timeout")
                try:
                    channel.waitclose(0.05)
                except channel.TimeoutError:
                    channel.send("still open")
                f = channel.makefile("r")
                channel.send([f.read(3), f.readline(), f.readline(), f.readline(), f.isatty()])
                for _ in range(2):
                    try:
                        channel.receive()
                    except EOFError:
                        channel.send("eof")
                w = channel.makefile("w", proxyclose=True)
                w.write(u"out")
                w.flush()
                try:
                    channel.makefile("rw")
                except ValueError as error:
                    channel.send(str(error))
                w.close()
                assert channel.isclosed()
                try:
                    channel.send(1)
                except IOError:
                    pass
                else:
                    raise AssertionError("sent to a closed channel")
                """
            let fragment = py.exec(source)
            #expect(try await fragment.receive() == false)
            #expect(try await fragment.receive() == "timeout")
            #expect(try await fragment.receive() == "still open")
            try await fragment.send("abcde\nse")
            try await fragment.send("cond\nrest")
            fragment.channel.finish()
            #expect(try await fragment.receive() == ["abc", "de\n", "second\n", "rest", false])
            #expect(try await fragment.receive() == "eof")
            #expect(try await fragment.receive() == "eof")
            #expect(try await fragment.receive() == "out")
            #expect(try await fragment.receive() == "mode 'rw' is neither 'w' nor 'r'")
            #expect(try await fragment.receive() == nil)
            try await fragment.finished()
        }
    }

    @Test(arguments: Interpreters.all)
    func `A callback gets each item and the end mark, and its exception closes the channel`(
        interpreter: String
    )
        async throws
    {
        try await withPython(interpreter) { py in
            let source = """
                items = []
                channel.setcallback(items.append, endmarker=-1)
                try:
                    channel.receive()
                except IOError:
                    channel.send("taken")
                channel.send(1)
                import time
                until = time.time() + 30
                while -1 not in items and time.time() < until:
                    time.sleep(0.01)
                assert items == [5, 6, -1], items
                """
            let fragment = py.exec(source)
            #expect(try await fragment.receive() == "taken")
            try await fragment.send(5)
            try await fragment.send(6)
            fragment.channel.finish()
            try await fragment.finished()
            let failing = py.exec(
                """
                def f(item):
                    raise ValueError("no %d" % item)
                channel.setcallback(f)
                import time
                until = time.time() + 30
                while not channel.isclosed() and time.time() < until:
                    time.sleep(0.01)
                """)
            try await failing.send(4)
            let error = try await #require(throws: MartletError.self) {
                try await failing.waitClose(timeout: .seconds(30))
            }
            #expect(error.message == "no 4")
        }
    }

    @Test(arguments: Interpreters.all)
    func `Channels go over channels, and into calls`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let (near, far) = py.makeChannel(of: PythonValue.self)
            let (near2, far2) = py.makeChannel(of: PythonValue.self)
            let fragment = py.exec(
                """
                a, b = channel.receive()
                a.send("hello")
                b.send("world")
                channel.send(b.receive())
                """)
            try await fragment.send(.tuple([.channel(far), .channel(far2)]))
            #expect(try await near.receive() == "hello")
            #expect(try await near2.receive() == "world")
            try await near2.send("back")
            #expect(try await fragment.receive() == "back")
            // Dropped there, they are closed here; PyPy drops what nobody holds when it likes.
            if py.facts.interpreter?.hasPrefix("CPython") == true {
                #expect(try await near.receive() == nil)
            }
            let (items, there) = py.makeChannel(of: PythonValue.self)
            async let sent: Void = py.call("eval", "channel.send(7)", PythonValue.dict(["channel": .channel(there)]))
            #expect(try await items.receive() == 7)
            try await sent
        }
    }

    @Test(arguments: Interpreters.all)
    func `A source that is indented as a whole runs, and its lines keep their numbers`(
        interpreter: String
    ) async throws {
        try await withPython(interpreter) { py async throws in
            let source =
                "\n      # one\n\n    if True:\n\n        channel.send(1)\n  \n        raise KeyError('x')\n    "
            let fragment = py.exec(source, file: "indented.py")
            #expect(try await fragment.receive() == 1)
            let error = try await #require(throws: PythonError.self) { try await fragment.finished() }
            #expect(error.traceback.contains("indented.py\", line 8, in <module>"))
        }
        #expect("\ta\n\t b\n".dedented == "a\n b\n" && "\ta\n b".dedented == "\ta\n b" && "".dedented == "")
    }

    @Test func `A function of the source gets keyword arguments`() async throws {
        try await withPython { py in
            let fragment = py.exec(
                "def multiply(channel, factor):\n    for item in channel: channel.send(item * factor)\n",
                function: "multiply", kw: ["factor": 10], sending: Int.self, receiving: Int.self)
            for number in 0..<5 { try await fragment.send(number) }
            fragment.channel.finish()
            var products: [Int] = []
            for try await product in fragment { products.append(product) }
            #expect(products == [0, 10, 20, 30, 40])
        }
    }

    @Test func `Closing this end stops the far loop`() async throws {
        try await withPython { py in
            let fragment = py.exec(
                """
                number = 0
                try:
                    while True:
                        channel.send(number)
                        number += 1
                except IOError:
                    pass
                """, receiving: Int.self)
            #expect(try await fragment.receive() == 0)
            fragment.close()
            try await fragment.finished()
            #expect(!fragment.isOpen)
        }
    }

    @Test func `A reader that stops makes the far writer wait`() async throws {
        try await withPython { py in
            let fragment = py.exec(
                """
                for _ in range(200): channel.send(b"x" * 100000)
                """, receiving: [UInt8].self)
            await eventually { (try? await py.context.status())?.openChannels == 1 }
            var count = 0
            for try await item in fragment { count += item.count }
            #expect(count == 20_000_000)
            try await fragment.finished()
            await eventually { (try? await py.context.status())?.openChannels == 0 }
        }
    }

    @Test func `Byte strings flow both ways`() async throws {
        try await withPython { py in
            let echo = py.exec(
                "for item in channel: channel.send(item)", sending: [UInt8].self, receiving: [UInt8].self)
            let part = [UInt8](repeating: 7, count: 1 << 20)
            async let sending: Void = {
                for _ in 0..<32 { try await echo.send(part) }
                echo.channel.finish()
            }()
            var count = 0
            for try await item in echo { count += item == part ? 1 : 0 }
            try await sending
            #expect(count == 32)
        }
    }

    @Test func `A cancelled fragment is interrupted`() async throws {
        try await withPython { py async throws in
            let fragment = py.exec("channel.send(1)\nwhile True: pass")
            #expect(try await fragment.receive() == 1)
            fragment.cancel()
            await #expect(throws: CancellationError.self) { try await fragment.finished() }
            await eventually { (try? await py.context.status())?.running == 0 }
            #expect(try await py.call("len", "abc") == 3)
        }
    }

    @Test(arguments: Interpreters.all)
    func `A deadline ends a fragment here also where it cannot be interrupted there`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let fragment = py.exec("import time; time.sleep(30)", deadline: .milliseconds(300))
            let error = try await #require(throws: MartletError.self) { _ = try await fragment.receive() }
            #expect(error.code == .deadlineExceeded)
            #expect(try await fragment.receive() == nil)
            await #expect(throws: MartletError.self) { try await fragment.finished() }
            // What waits for its channel is woken, in every Python.
            let waiting = py.exec(
                "import threading; threading.waited = 0\nfor item in channel: pass\nthreading.waited = 1")
            try await waiting.send(1)
            waiting.cancel()
            await eventually(within: .seconds(20), "the fragment has ended") {
                guard let running = try? await py.status().running else { return false }
                return running < 2
            }
            #expect(try await py.call("len", "abc") == 3)
        }
    }
}
