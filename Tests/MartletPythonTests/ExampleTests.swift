import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet
@testable import MartletPython

/// What execnet and chopsticks show in their own documentation, in Martlet's words.
@Suite(.leakChecked) struct ExampleTests {
    private static let hasServer = FileManager.default.isExecutableFile(atPath: "/usr/sbin/sshd")

    // MARK: execnet

    @Test func `Where am I: a local context begins where we are, one over ssh at home`() async throws {
        let source =
            "import os, pwd, sys; home = pwd.getpwuid(os.getuid())[5]\n"
            + "channel.send((sys.platform, tuple(sys.version_info), os.getpid(), os.getcwd(), home))"
        try await withPython { py in
            let place = try #require(try await py.exec(source).receive())
            #expect(place[3] == .str(FileManager.default.currentDirectoryPath))
            #expect(place[2] == .int(Int(py.facts.processID)))
        }
        guard Self.hasServer else { return }
        try await withThrowawaySSHD { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let ssh = SSHConnector.ssh(sshd.hostAlias, configuration: sshd.configPath)
                let py = try await martlet.connect(ssh, runtime: .python)
                let place = try #require(try await py.exec(source).receive())
                #expect(place[0] == "linux" || place[0] == "linux2")
                #expect(place[3] == place[4])
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `A module of functions is executed as it is in its file`(interpreter: String) async throws {
        try await withFolder { folder in
            let file = "\(folder)/remote1.py"
            try Data(
                """
                import inspect
                def work(channel, factor):
                    for item in channel:
                        channel.send(item * factor)
                if __name__ == '__channelexec__':
                    channel.send('initialization complete')
                    channel.send([frame[1] for frame in inspect.stack()])
                """.utf8
            ).write(to: URL(filePath: file))
            try await withPython(interpreter) { py in
                let fragment = try py.exec(contentsOf: file, function: "work", kw: ["factor": 10])
                #expect(try await fragment.receive() == "initialization complete")
                guard case .list(let stack) = try await fragment.receive() else { throw Unexpected() }
                #expect(stack.contains(.str(file)))
                for value in 0..<5 {
                    try await fragment.send(.int(value))
                    #expect(try await fragment.receive() == .int(value * 10))
                }
                // It runs though the file is gone, and the next reads it anew.
                try FileManager.default.removeItem(atPath: file)
                try await fragment.send(7)
                #expect(try await fragment.receive() == 70)
                fragment.close()
                try await fragment.finished()
                #expect(throws: MartletError.self) { try py.exec(contentsOf: file) }
                try Data("channel.send('changed')".utf8).write(to: URL(filePath: file))
                #expect(try await py.exec(contentsOf: file).receive() == "changed")
            }
        }
    }

    @Test func `A loop of commands is evaluated there`() async throws {
        try await withPython { py in
            let loop = py.exec(
                """
                import os
                def simple(arg): return arg + 1
                def listdir(path): return os.listdir(path)
                for command in channel:
                    channel.send(eval(command))
                """)
            try await loop.send("simple(10)")
            #expect(try await loop.receive() == 11)
            try await loop.send("listdir('/proc/self/task')")
            guard case .list(let threads) = try await loop.receive() else { throw Unexpected() }
            #expect(threads.contains(.str("\(py.facts.processID)")))
            loop.close()
            try await loop.finished()
        }
    }

    @Test func `Files are served over a channel`() async throws {
        try await withFolder { folder in
            let data = Data((0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try data.write(to: URL(filePath: "\(folder)/data"))
            try await withPython { py in
                let server = py.exec("for name in channel: channel.send(open(name, 'rb').read())")
                try await server.send(.str("\(folder)/data"))
                #expect(try await server.receive() == .bytes(Array(data)))
                try await server.send(.str("\(folder)/none"))
                let error = try await #require(throws: PythonError.self) { _ = try await server.receive() }
                #expect(error.type == "FileNotFoundError" && error.message.contains("\(folder)/none"))
            }
        }
    }

    @Test func `Four workers take tasks as they are ready`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let work = Work()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let py = try await martlet.connect(.local, runtime: .python)
                        let worker = py.exec(
                            """
                            channel.send("ready")
                            for task in channel:
                                if task is None: break
                                channel.send(task * 2)
                            """)
                        #expect(try await worker.receive() == "ready")
                        while let task = work.tasks.withLock({ $0.popLast() }) {
                            try await worker.send(.int(task))
                            guard case .int(let result) = try await worker.receive() else { throw Unexpected() }
                            work.results.withLock { $0.append(result) }
                        }
                        try await worker.send(PythonValue.none)
                        try await worker.finished()
                    }
                }
                try await group.waitForAll()
            }
            #expect(work.results.withLock { $0.sorted() } == (0..<40).map { $0 * 2 })
        }
    }

    @Test func `Blocked children are waited for with a timeout, and go on`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            var fragments: [PythonFragment<PythonValue, PythonValue>] = []
            for _ in 0..<5 {
                let py = try await martlet.connect(.local, runtime: .python)
                fragments.append(py.exec("import os; channel.receive(); channel.send(os.getpid())"))
            }
            for fragment in fragments {
                let error = try await #require(throws: MartletError.self) {
                    _ = try await fragment.receive(timeout: .milliseconds(50))
                }
                #expect(error.code == .deadlineExceeded)
                try await fragment.send(1)
            }
            var processes: Set<PythonValue> = []
            for fragment in fragments { processes.insert(try #require(try await fragment.receive())) }
            #expect(processes.count == 5)
        }
    }

    @Test(arguments: Interpreters.all)
    func `A channel stands in for standard output`(interpreter: String) async throws {
        try await withPython(interpreter) { py in
            let (lines, there) = py.makeChannel(of: String.self)
            let fragment = py.exec(
                "import sys; sys.stdout = channel.receive().makefile('w'); channel.send(1)",
                sending: Channel<String>.self)
            try await fragment.send(there)
            #expect(try await fragment.receive() == 1)
            let printing = py.exec("from __future__ import print_function\nprint(u'hello'); print(u'world')")
            try await printing.finished()
            var text = ""
            while text.filter({ $0 == "\n" }).count < 2, let part = try await lines.receive(timeout: .seconds(20)) {
                text += part
            }
            #expect(text == "hello\nworld\n")
            try await py.exec("import sys; sys.stdout = sys.__stdout__").finished()
        }
    }

    @Test func `Bulk goes over a channel of its own, with acknowledgements on the other`() async throws {
        try await withPython { py in
            let (bulk, there) = py.makeChannel(of: [UInt8].self)
            let fragment = py.exec(
                """
                bulk, count = channel.receive(), 0
                for block in bulk:
                    count += 1
                    if count % 100 == 0: channel.send(count)
                channel.send([count, len(block)])
                """, sending: Channel<[UInt8]>.self)
            try await fragment.send(there)
            let block = [UInt8](repeating: 7, count: 4096)
            for number in 1...300 {
                try await bulk.send(block)
                if number % 100 == 0 { #expect(try await fragment.receive() == .int(number)) }
            }
            bulk.close()
            #expect(try await fragment.receive() == [300, 4096])
        }
    }

    @Test(.enabled(if: Interpreters.old != nil, "needs Python 2.7"))
    func `A program drives two Pythons at once, an old one and a new one`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let old = try await martlet.connect(.local, runtime: .python(Interpreters.old ?? ""))
            let new = try await martlet.connect(.local, runtime: .python)
            let ask = "import sys; channel.send((sys.version_info[0], channel.receive()))"
            for (py, major) in [(old, 2), (new, 3)] {
                let fragment = py.exec(ask)
                try await fragment.send(["text": "ä", "list": [1, 2.5, .none]])
                #expect(
                    try await fragment.receive() == .tuple([.int(major), ["text": "ä", "list": [1, 2.5, .none]]]))
            }
        }
    }

    // MARK: chopsticks

    @Test(.enabled(if: hasServer, "needs openssh-server"))
    func `Time, address and version of an ssh host and of this machine`() async throws {
        try await withThrowawaySSHD { sshd in
            try await withMartlet(OutputLog().options) { martlet in
                let ssh = SSHConnector.ssh(sshd.hostAlias, configuration: sshd.configPath)
                let contexts = try await [
                    martlet.connect(ssh, runtime: .python), martlet.connect(.local, runtime: .python),
                ]
                for py in contexts {
                    let time: Double = try await py.call("time.time")
                    #expect(abs(time - Date().timeIntervalSince1970) < 60)
                    let version: String = try await py.call("platform.python_version")
                    #expect(py.facts.interpreter?.contains(version) == true)
                    let address: String = try await py.call("socket.gethostbyname", "localhost")
                    #expect(address == "127.0.0.1")
                }
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `Functions of the main script bring what they use: callees, globals, aliases, submodules`(
        interpreter: String
    ) async throws {
        try await withFolder { folder in
            let script = """
                import os.path as places
                import xml.dom.minidom
                from json import dumps as write
                LIMIT = 3
                UNUSED = object()
                def helper(n): return n * LIMIT
                def work(n):
                    document = xml.dom.minidom.parseString("<a/>")
                    return write([helper(n), places.join("a", "b"), document.documentElement.tagName, work.__name__])
                if __name__ == "__main__":
                    raise SystemExit("this is not for the far side")
                """
            try Data(script.utf8).write(to: URL(filePath: "\(folder)/onefile.py"))
            try await withMartlet(OutputLog().options) { martlet in
                let runtime = PythonRuntime.python(interpreter).importing(script: "\(folder)/onefile.py")
                let py = try await martlet.connect(.local, runtime: runtime)
                let text: String = try await py.call("__main__:work", 2)
                #expect(text == #"[6, "a/b", "a", "work"]"#)
            }
        }
    }

    @Test func `A context is reached through a Python one's own machine, and a lost state is lost`() async throws {
        try await withMartlet(OutputLog().options) { martlet in
            let outer = try await martlet.connect(.local)
            let inner = try await outer.python()
            #expect(inner.route.steps.count == 2)
            try await inner.exec("import sys; sys.my_state = 5").finished()
            #expect(try await inner.call("sys:my_state.bit_length") == 3)
            await inner.close()
            let again = try await outer.python()
            let error = try await #require(throws: PythonError.self) { try await again.call("sys:my_state.bit_length") }
            #expect(error.type == "AttributeError")
        }
    }

    // MARK: econtext

    @Test(arguments: Interpreters.all)
    func `A blocking function of the user's own, and a plain one of the library, are called`(
        interpreter: String
    ) async throws {
        try await withFolder { folder in
            let scene = try ModuleScene(
                folder: folder,
                [
                    "app/hello.txt": "hello\n",
                    "install.py": """
                    import os
                    def install_app(folder):
                        os.chdir(folder)
                        return os.system("tar zxvf app.tar.gz")
                    """,
                ])
            try await withMartlet(scene.output.options) { martlet in
                let runtime = PythonRuntime.python(interpreter).importing(scene.modules(nil))
                let py = try await martlet.connect(.local, runtime: runtime)
                let status: Int = try await py.call(
                    "os.system", "cd '\(folder)' && tar zcf app.tar.gz app && rm -r app")
                #expect(status == 0)
                let installed: Int = try await py.call("install:install_app", folder)
                #expect(installed == 0)
                #expect(FileManager.default.fileExists(atPath: "\(folder)/app/hello.txt"))
                await eventually(within: .seconds(20), "what tar printed has come") {
                    scene.output.texts().contains("app/hello.txt")
                }
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `Nothing is compiled to disk`(interpreter: String) async throws {
        try await withFolder { folder in
            try Data("value = 3\n".utf8).write(to: URL(filePath: "\(folder)/there.py"))
            try await withPython(interpreter) { py in
                let fragment = py.exec(
                    "import sys; sys.path.insert(0, '\(folder)'); import there; channel.send(there.value)")
                let value = try await fragment.receive()
                #expect(value == 3)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["there.py"])
        }
    }
}

/// What the workers share.
private final class Work: Sendable {
    let tasks = Mutex(Array(0..<40))
    let results = Mutex<[Int]>([])
}

private struct Unexpected: Error {}
