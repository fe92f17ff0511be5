import Foundation
import MartletTestKit
import MartletTestSupport
import Synchronization
import Testing

@testable import Martlet
@testable import MartletPython

/// Modules of this machine, imported by code in a Python context.
@Suite(.leakChecked) struct ModuleTests {
    /// Runs `body` with a context whose code may import what the files are.
    private func withModules(
        _ files: [String: String], _ interpreter: String = Interpreters.usual, script: String? = nil,
        _ body: @Sendable (PythonContext, ModuleScene) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let scene = try ModuleScene(folder: folder, files)
            try await withMartlet(scene.output.options) { martlet in
                let runtime = PythonRuntime.python(interpreter).importing(scene.modules(script))
                let py = try await martlet.connect(.local, runtime: runtime)
                scene.questions.withLock { $0 = { martlet.runtime.resources.questions } }
                try await body(py, scene)
                scene.questions.withLock { $0 = { 0 } }
            }
        }
    }

    private static let application = [
        "app/__init__.py": "from app.kinds import Kind\nname = 'app'\n",
        "app/kinds/__init__.py": "from .base import Kind\n",
        "app/kinds/base.py": "import json\nclass Kind(object):\n    def name(self): return 'kind'\n",
        "app/work.py":
            "from __future__ import absolute_import\nfrom . import kinds\nfrom .kinds.base import Kind\nimport single\n"
            + "def run(n):\n    return [n + single.one, Kind().name(), __name__]\n"
            + "def fail():\n    # a comment\n    raise ValueError('no')\n",
        "single.py": "one = 1\ndef where(): return __file__\n",
        "spaces/part.py": "value = 42\n",
    ]

    @Test(arguments: Interpreters.all)
    func `Packages and modules are imported from here, each once`(interpreter: String) async throws {
        try await withModules(Self.application, interpreter) { py, scene in
            #expect(try await py.call("app.work:run", 2) == PythonValue.list([3, "kind", "app.work"]))
            let questions = scene.asked
            #expect(questions <= 2, "\(questions)")
            #expect(try await py.call("app.work.run", 3) == PythonValue.list([4, "kind", "app.work"]))
            #expect(try await py.call("app:name.upper") == "APP")
            #expect(scene.asked == questions)
            #expect(try await py.call("single:where") == "martlet:\(scene.folder)/single.py")
            #expect(try await py.call("spaces.part:value.bit_length") == 6)
            try await py.call("single:where")
        }
    }

    @Test(arguments: Interpreters.all)
    func `A traceback shows the module's own file, line and text`(interpreter: String) async throws {
        try await withModules(Self.application, interpreter) { py, scene in
            let error = try await #require(throws: PythonError.self) { try await py.call("app.work:fail") }
            #expect(error.type == "ValueError")
            #expect(error.traceback.contains("martlet:\(scene.folder)/app/work.py\", line 9, in fail"))
            #expect(error.traceback.contains("raise ValueError('no')"))
        }
    }

    @Test(arguments: Interpreters.all)
    func `Data of packages comes by pkgutil, byte for byte`(interpreter: String) async throws {
        try await withModules(
            ["app/__init__.py": "", "app/inner.py": "", "single.py": "", "secret": "no"], interpreter
        ) {
            py, scene in
            var generator = SystemRandomNumberGenerator()
            let data = Data((0..<300_000).map { _ in UInt8.random(in: 0...255, using: &generator) })
            try FileManager.default.createDirectory(
                atPath: "\(scene.folder)/app/data", withIntermediateDirectories: true)
            try data.write(to: URL(filePath: "\(scene.folder)/app/data/blob"))
            try Data("hidden".utf8).write(to: URL(filePath: "\(scene.folder)/app/data/.hidden"))
            // Python 2's pkgutil finds no module below a package that was not imported before.
            try await py.call("app.inner:__name__.upper")
            #expect(try await py.call("pkgutil:get_data", "app", "data/blob") == PythonValue.bytes(Array(data)))
            #expect(try await py.call("pkgutil:get_data", "app.inner", "data/blob") == PythonValue.bytes(Array(data)))
            for (package, path) in [
                ("app", "data/none"), ("app", "../secret"), ("app", "data/.hidden"), ("single", "secret"),
                ("app", "data"), ("app", "/etc/passwd"),
            ] {
                let error = try await #require(throws: PythonError.self, "\(package) \(path)") {
                    try await py.call("pkgutil:get_data", package, path)
                }
                #expect(["IOError", "FileNotFoundError", "OSError"].contains(error.type), "\(error)")
            }
        }
    }

    @Test(arguments: Interpreters.all.filter(Interpreters.hasResources))
    func `importlib.resources finds data of packages`(interpreter: String) async throws {
        let files = [
            "app/__init__.py": "", "app/hello.txt": "hello\n", "app/sub/__init__.py": "", "app/sub/x.txt": "x",
        ]
        try await withModules(files, interpreter) { py, _ in
            let fragment = py.exec(
                """
                import importlib.resources as resources, sys
                import app
                if sys.version_info < (3, 11):
                    channel.send(resources.read_text("app", "hello.txt"))
                    channel.send(resources.read_binary("app.sub", "x.txt"))
                    channel.send(sorted(resources.contents("app")))
                    channel.send([resources.is_resource("app", "hello.txt"), resources.is_resource("app", "sub")])
                    with resources.path("app", "hello.txt") as path:
                        channel.send(path.read_text())
                if sys.version_info >= (3, 10):
                    root = resources.files("app")
                    channel.send(root.joinpath("hello.txt").read_text())
                    channel.send((root / "sub" / "x.txt").read_bytes())
                    channel.send(sorted(item.name for item in root.iterdir() if item.is_file()))
                    channel.send([root.is_dir(), root.joinpath("none").is_file()])
                    with resources.as_file(root / "hello.txt") as path:
                        channel.send(path.read_text())
                """)
            var rounds = 0
            while let text = try await fragment.receive() {
                #expect(text == "hello\n")
                #expect(try await fragment.receive() == .bytes(Array("x".utf8)))
                guard case .list(let names) = try await fragment.receive() else { break }
                #expect(names.contains("hello.txt"))
                #expect(try await fragment.receive() == [true, false])
                #expect(try await fragment.receive() == "hello\n")
                rounds += 1
            }
            #expect(rounds > 0)
        }
    }

    @Test(arguments: [false, true])
    func `A package of sixty modules costs at most four round trips`(isDynamic: Bool) async throws {
        var files: [String: String] = [:]
        for number in 0..<60 { files["big/m\(number).py"] = "value = \(number)\n" }
        let names = (0..<60).map { "m\($0)" }.joined(separator: ", ")
        files["big/__init__.py"] =
            isDynamic
            ? "import importlib\nfor n in range(60): importlib.import_module('big.m%d' % n)\n"
            : "from . import \(names)\n"
        files["use.py"] = "import big\ndef total(): return sum(getattr(big, 'm%d' % n).value for n in range(60))\n"
        try await withModules(files) { py, scene in
            let total: Int = try await py.call("use:total")
            #expect(total == 1770)
            print("a package of 60 modules, dynamic \(isDynamic): \(scene.asked) round trips")
            #expect(scene.asked <= (isDynamic ? 2 : 1))
        }
    }

    @Test(arguments: Interpreters.all)
    func `What is missing, broken or native is Python's own error`(interpreter: String) async throws {
        let files = [
            "broken.py": "x = 1\nif x\n    pass\n", "uses.py": "import not_there_at_all\n",
            "quick/__init__.py": "", "quick/_speed.cpython-39-x86_64-linux-gnu.so": "ELF",
        ]
        try await withModules(files, interpreter) { py, scene in
            let missing = try await #require(throws: PythonError.self) { try await py.call("uses:f") }
            #expect(["ModuleNotFoundError", "ImportError"].contains(missing.type))
            #expect(missing.message.contains("No module named") && missing.message.contains("not_there_at_all"))
            #expect(missing.traceback.contains("uses.py\", line 1"))
            #expect(missing.advice?.contains("neither installed on") == true, "\(missing)")
            let broken = try await #require(throws: PythonError.self) { try await py.call("broken:f") }
            #expect(broken.type == "SyntaxError")
            #expect(broken.traceback.contains("martlet:\(scene.folder)/broken.py\", line "))
            let native = try await #require(throws: PythonError.self) { try await py.call("quick._speed:f") }
            #expect(["ModuleNotFoundError", "ImportError"].contains(native.type))
            // Python 2 says the last part of the name only.
            let says = native.message.contains("quick") ? "native extension" : "neither installed on"
            #expect(native.advice?.contains(says) == true, "\(native)")
            // What is not offered is not asked for.
            let before = scene.asked
            let fragment = py.exec("import pkgutil\nchannel.send(pkgutil.find_loader('nowhere') is None)")
            if try await fragment.receive() == nil { try await fragment.finished() }
            #expect(scene.asked == before)
        }
    }

    @Test(arguments: Interpreters.all)
    func `The main script's functions can be called, and it can be run`(interpreter: String) async throws {
        let files = [
            "deploy.py": """
            from __future__ import print_function
            import sys, helper
            state = []
            def install(name):
                state.append(name)
                return [helper.twice(name), len(state), __name__]
            if __name__ == "__main__":
                import __main__
                print("run with", sys.argv[1:], __main__.install("x"))
                sys.exit(3 if sys.argv[1:2] == ["fail"] else "words" if sys.argv[1:2] == ["words"] else None)
            """,
            "helper.py": "def twice(x): return x * 2\n",
        ]
        try await withModules(files, interpreter, script: "deploy.py") { py, scene in
            #expect(try await py.call("__main__:install", "a") == PythonValue.list(["aa", 1, "__martlet_main__"]))
            #expect(try await py.call("__main__:install", "b") == PythonValue.list(["bb", 2, "__martlet_main__"]))
            #expect(try await py.call("deploy:install", "c") == PythonValue.list(["cc", 1, "deploy"]))
            let status = try await py.runScript(["one", "two"])
            #expect(status == 0)
            #expect(try await py.runScript(["fail"]) == 3)
            #expect(try await py.runScript(["words"]) == 1)
            await eventually(within: .seconds(20), "its output has come") {
                scene.output.texts().count >= 3 && scene.output.texts(.error) == ["words"]
            }
            #expect(scene.output.texts()[0].contains("one") && scene.output.texts()[0].contains("xx"))
        }
    }

    @Test func `Contexts below one relay have it from there`() async throws {
        try await withFolder { folder in
            let scene = try ModuleScene(folder: folder, Self.application)
            try await withMartlet(scene.output.options) { martlet in
                let relay = try await martlet.connect(.local)
                let runtime = PythonRuntime.python.importing(scene.modules(nil))
                let contexts = try await [relay.python(runtime), relay.python(runtime), relay.python(runtime)]
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for py in contexts {
                        group.addTask {
                            let answer: PythonValue = try await py.call("app.work:run", 2)
                            #expect(answer == .list([3, "kind", "app.work"]))
                        }
                    }
                    try await group.waitForAll()
                }
                let questions = martlet.runtime.resources.questions
                #expect(questions <= 2, "\(questions)")
                let deeper = try await relay.connect(.local).python(runtime)
                #expect(try await deeper.call("app.work:run", 2) == PythonValue.list([3, "kind", "app.work"]))
                #expect(martlet.runtime.resources.questions == questions)
                // A module that has come to a package since is found.
                try Data("value = 5\n".utf8).write(to: URL(filePath: "\(scene.folder)/app/late.py"))
                let fresh = try await relay.python(runtime)
                #expect(try await fresh.call("app.late:value.bit_length") == 3)
                // What has been changed since is not taken from there.
                try Data("one = 10\n".utf8).write(to: URL(filePath: "\(scene.folder)/single.py"))
                let later = try await relay.python(runtime)
                #expect(try await later.call("app.work:run", 2) == PythonValue.list([12, "kind", "app.work"]))
            }
        }
    }

    @Test func `A link that leads out of what is offered is not followed`() async throws {
        try await withFolder { outside in
            try Data("secret = 1\n".utf8).write(to: URL(filePath: "\(outside)/secret.py"))
            try await withModules(["app/__init__.py": ""]) { py, scene in
                for name in ["out.py", "app/data"] {
                    try FileManager.default.createSymbolicLink(
                        atPath: "\(scene.folder)/\(name)", withDestinationPath: "\(outside)/secret.py")
                }
                let data = try await #require(throws: PythonError.self) {
                    try await py.call("pkgutil:get_data", "app", "data")
                }
                #expect(data.message.contains("no such file"))
            }
            try await withModules(["app/__init__.py": "", "here.py": ""]) { _, scene in
                try FileManager.default.createSymbolicLink(
                    atPath: "\(scene.folder)/out.py", withDestinationPath: "\(outside)/secret.py")
                try await withMartlet(scene.output.options) { martlet in
                    let py = try await martlet.connect(.local, runtime: .python.importing(scene.modules(nil)))
                    let error = try await #require(throws: PythonError.self) { try await py.call("out:secret") }
                    #expect(error.message.contains("is a link that leads out of what is offered"), "\(error)")
                }
            }
        }
    }

    @Test func `A folder that a link makes of another place is not looked into`() async throws {
        try await withFolder { outside in
            try FileManager.default.createDirectory(atPath: "\(outside)/private", withIntermediateDirectories: true)
            try Data("x = 1\n".utf8).write(to: URL(filePath: "\(outside)/private/secret.py"))
            try Data("x = 1\n".utf8).write(to: URL(filePath: "\(outside)/other.py"))
            try await withFolder { folder in
                let scene = try ModuleScene(folder: folder, ["here.py": ""])
                try FileManager.default.createSymbolicLink(atPath: "\(folder)/link", withDestinationPath: outside)
                let provider = ModuleProvider(scene.modules(nil))
                for name in ["link", "link.private", "link.other", "link.private.secret"] {
                    let found = try? provider.resource(name, known: [])
                    #expect(found?.value == nil, "\(name)")
                }
                #expect(try provider.resource("here", known: []).value != nil)
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `What is below a package of that machine is not taken from here`(interpreter: String) async throws {
        try await withFolder { there in
            let far = try ModuleScene(folder: there, ["mixed/__init__.py": "", "mixed/far.py": "side = 'far'\n"])
            try await withModules(["mixed/near.py": "side = 'near'\n"], interpreter) { py, _ in
                try await py.exec("import sys; sys.path.insert(0, '\(far.folder)')").finished()
                #expect(try await py.call("mixed.far:side.upper") == "FAR")
                let error = try await #require(throws: PythonError.self) { try await py.call("mixed.near:side.upper") }
                #expect(error.message.contains("No module named"))
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `Names beyond ASCII, of folders and of data, disturb nobody`(interpreter: String) async throws {
        try await withFolder { folder in
            let scene = try ModuleScene(
                folder: "\(folder)/jörg", ["app/__init__.py": "", "app/größe.txt": "5", "app/one.py": "value = 3\n"])
            try await withMartlet(scene.output.options) { martlet in
                let runtime = PythonRuntime.python(interpreter).importing(scene.modules(nil))
                let py = try await martlet.connect(.local, runtime: runtime)
                #expect(try await py.call("app.one:value.bit_length") == 2)
                // Python 2 joins paths of one kind only.
                let name = "größe.txt"
                let path = interpreter == Interpreters.old ? PythonValue.bytes(Array(name.utf8) + []) : .str(name)
                let data: PythonValue = try await py.call("pkgutil:get_data", "app", path)
                #expect(data == .bytes([0x35]) || data == "5")
            }
        }
    }

    @Test(arguments: Interpreters.all)
    func `A call that is cancelled while it imports, and a command meanwhile, hold nobody up`(
        interpreter: String
    ) async throws {
        let slow = "import time\nfor _ in range(100): time.sleep(0.01)\nimport other\nvalue = other.value\n"
        try await withModules(["slow.py": slow, "other.py": "value = 3\n", "third.py": "value = 9\n"], interpreter) {
            py, _ in
            let importing = Task { try await py.call("slow:value.bit_length", returning: Int.self) }
            let other = Task { try await py.call("third:value.bit_length", returning: Int.self) }
            let result = try await py.run("echo x")
            #expect(result.text == "x\n")
            importing.cancel()
            _ = try? await importing.value
            #expect(try await other.value == 4)
            #expect(try await py.run("echo y").text == "y\n")
            #expect(try await py.ping() > .zero)
        }
    }

    @Test(arguments: Interpreters.all)
    func `The main script runs in the main thread`(interpreter: String) async throws {
        let script = """
            import signal, sys
            signal.signal(signal.SIGUSR1, lambda *_: None)
            sys.exit(7)
            """
        try await withModules(["main.py": script], interpreter, script: "main.py") { py, _ in
            let status = try await py.runScript()
            #expect(status == 7)
        }
    }

    @Test func `Two imports at once do not wait for each other for ever`() async throws {
        var files: [String: String] = [:]
        for number in 0..<20 {
            files["m\(number).py"] = "import time\ntime.sleep(0.01)\nvalue = \(number)\ndef get(): return value\n"
        }
        try await withModules(files) { py, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    for _ in 0..<2 {
                        group.addTask { try await py.call("m\(number):get") as Int == number }
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }
}
