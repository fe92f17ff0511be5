import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@testable import MartletPython

@Suite(.leakChecked) struct CallTests {
    @Test(arguments: Interpreters.all)
    func `Functions, methods and builtins are found by name, in every Python`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let load: [Double] = try await py.call("os.getloadavg")
            #expect(load.count == 3)
            #expect(try await py.call("os.path.join", "a", "b") == "a/b")
            #expect(try await py.call("os.path:join", "a", "b") == "a/b")
            #expect(try await py.call("string:Template.pattern.flags.__class__.__name__.upper") != "")
            #expect(try await py.call("len", [1, 2, 3]) == 3)
            #expect(try await py.call("int", "ff", kw: ["base": 16]) == 255)
            #expect(try await py.call("xml.dom.minidom:Document.__name__.lower") == "document")
            try await py.call("time.sleep", 0)
            #expect(try await py.call("os.getpid") == py.facts.processID)
            #expect(py.facts.interpreter?.isEmpty == false)
            #expect(try await py.ping() > .zero)
        }
    }

    @Test(arguments: Interpreters.all)
    func `An exception comes with its type, message and traceback`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let error = try await #require(throws: PythonError.self) { try await py.call("int", "zz") }
            #expect(error.type == "ValueError")
            #expect(error.message.contains("invalid literal"))
            #expect(error.route == py.route)
            #expect(error.traceback.hasPrefix("ValueError"))
            let deep = try await #require(throws: PythonError.self) { try await py.call("json.loads", "{") }
            #expect(deep.traceback.contains("json/") && deep.traceback.contains(", line "))
            #expect(!deep.traceback.contains("\"martlet\""))
            let exit = try await #require(throws: PythonError.self) { try await py.call("sys.exit", 3) }
            #expect(exit.type == "SystemExit")
            let missing = try await #require(throws: PythonError.self) { try await py.call("no_such_module:f") }
            #expect(missing.message.contains("no_such_module"))
            let unknown = try await #require(throws: PythonError.self) { try await py.call("os:no_such_name") }
            #expect(unknown.type == "AttributeError")
            #expect(try await py.call("len", "abc") == 3)
        }
    }

    @Test(arguments: Interpreters.all)
    func `A deadline ends the call at both ends, and the context stays usable`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let loop = py.exec(
                """
                import threading
                def spin():
                    while True: pass
                threading.spin = spin
                """)
            try await loop.finished()
            let error = try await #require(throws: MartletError.self) {
                try await py.call("threading.spin", deadline: .milliseconds(300))
            }
            #expect(error.code == .deadlineExceeded)
            #expect(error.message.contains("threading.spin"))
            #expect(try await py.call("len", "abc") == 3)
            // PyPy has no way to interrupt a thread.
            guard py.facts.interpreter?.hasPrefix("CPython") == true else { return }
            // The loop has ended: nothing but this question runs.
            await eventually { (try? await py.context.status())?.running == 0 }
        }
    }

    @Test func `Blocking code stops neither heartbeats nor other calls`() async throws {
        var options = OutputLog().options
        options.heartbeatLimit = .seconds(3)
        try await withPython(Interpreters.usual, options) { py in
            // Longer than the limit, twice: in the main thread and in another.
            async let first: Void = py.call("time.sleep", 4)
            async let second: Void = py.call("time.sleep", 4)
            #expect(try await py.call("len", "abc", deadline: .seconds(20)) == 3)
            #expect(try await py.ping() > .zero)
            _ = try await (first, second)
        }
    }

    @Test func `Many calls at once get each its own answer`() async throws {
        try await withPython { py in
            try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for number in 0..<300 { group.addTask { (number, try await py.call("operator.add", number, 1)) } }
                for try await (number, sum) in group { #expect(sum == number + 1) }
            }
        }
    }

    @Test func `Large values go there and back`() async throws {
        try await withPython { py in
            let bytes = [UInt8]((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            let back: PythonValue = try await py.call("copy.copy", PythonValue.bytes(bytes))
            #expect(back == .bytes(bytes))
            let error = try await #require(throws: MartletError.self) {
                try await py.call("operator.mul", "x", 65 << 20, returning: String.self)
            }
            #expect(error.code == .limitExceeded)
        }
    }

    @Test func `What it does not do is refused in words`() async throws {
        try await withPython { py in
            let error = try await #require(throws: MartletError.self) {
                _ = try await py.context.detach(lease: .seconds(60))
            }
            #expect(error.code == .refused)
            #expect(try await py.status().children == 0)
        }
    }
}
