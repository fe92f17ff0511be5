import Logging
import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct OutputTests {
    @Test(arguments: Interpreters.all)
    func `What is printed comes back as lines, whoever prints it`(interpreter: String) async throws {
        let log = OutputLog()
        try await withPython(interpreter, log.options) { py in
            let fragment = py.exec(
                """
                from __future__ import print_function
                import os, sys
                print(u"printed \\u20ac")
                sys.stdout.flush()
                os.write(1, b"written\\n")
                os.system("echo by a shell; echo an error >&2")
                print("to stderr", file=sys.stderr)
                assert sys.stdin.read() == ""
                """)
            try await fragment.finished()
            await eventually { log.texts().count == 3 && log.texts(.error).count == 2 }
            #expect(log.texts() == ["printed €", "written", "by a shell"])
            #expect(log.texts(.error) == ["an error", "to stderr"])
            // Nothing of it disturbed the link.
            #expect(try await py.call("len", "abc") == 3)
            try await py.exec("import sys\nsys.stdout.write('no end of line')").finished()
        }
        #expect(log.texts().last == "no end of line")
    }

    @Test(arguments: Interpreters.all)
    func `A line comes whole however long it is, in pieces that each fill a message`(interpreter: String) async throws {
        let log = OutputLog()
        try await withPython(interpreter, log.options) { py in
            let fragment = py.exec(
                """
                import os
                for letter, count in (b"a", 65216), (b"b", 65217), (b"c", 200000):
                    data = letter * count + b"\\n"
                    while data:
                        data = data[os.write(1, data):]
                """)
            try await fragment.finished()
            await eventually { log.texts().reduce(0) { $0 + $1.utf8.count } >= 330_433 }
        }
        let pieces = log.texts().map { "\($0.utf8.count)\(Set($0))" }
        #expect(
            pieces == [
                #"65216["a"]"#, #"65216["b"]"#, #"1["b"]"#,
                #"65216["c"]"#, #"65216["c"]"#, #"65216["c"]"#, #"4352["c"]"#,
            ])
    }

    @Test func `A flood of output stalls no call, and all of it comes, in order`() async throws {
        let log = OutputLog()
        try await withPython(Interpreters.usual, log.options) { py in
            let flood = py.exec("for i in range(20000): print(i)")
            #expect(try await py.call("len", "abc", deadline: .seconds(30)) == 3)
            try await flood.finished()
            await eventually(within: .seconds(60)) { log.texts().count == 20000 }
        }
        #expect(log.texts() == (0..<20000).map(String.init))
    }

    @Test(arguments: Interpreters.all)
    func `Records of logging come with level, label, place and exception`(interpreter: String) async throws {
        let store = LogStore.shared
        let label = "py.\(interpreter.replacing("/", with: "."))"
        var options = OutputLog().options
        options.logLevel = .debug
        try await withPython(interpreter, options) { py in
            let fragment = py.exec(
                """
                import logging
                log = logging.getLogger(channel.receive())
                def work():
                    log.debug("one %d", 1)
                    log.info("two")
                    log.warning(u"thr\\u20ac\\u20ac")
                    log.error("four")
                    log.critical("five")
                    log.log(25, "six")
                    log.log(5, "never")
                work()
                try:
                    1 / 0
                except Exception:
                    log.exception("seven")
                """, file: "job.py")
            try await fragment.send(.str(label))
            try await fragment.finished()
            await eventually { store.labelled(label).count == 7 }
            let entries = store.labelled(label)
            #expect(entries.map(\.message) == ["one 1", "two", "thr€€", "four", "five", "six", "seven"])
            #expect(entries.map(\.level) == [.debug, .info, .warning, .error, .critical, .notice, .error])
            #expect(entries.first?.function == "work" && entries.first?.line == 4)
            #expect(entries.first?.metadata["context"] == "\(py.route)")
            let exception = "\(entries.last?.metadata["error"] ?? "")"
            #expect(exception.contains("ZeroDivisionError"))
        }
    }
}
