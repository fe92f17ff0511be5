import ArgumentParser
import Martlet
import MartletPython

/// What runs on the hosts of a command.
enum HostRuntime: Sendable {
    /// The agent, which is sent.
    case native
    /// The hosts' own Python.
    case python(PythonRuntime)
}

/// The option of the commands that can do with another runtime than the agent.
struct RuntimeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            What runs on the hosts: native (the agent), python (the first that is there), or python:INTERPRETER, a name or \
            a path. For python a few kilobytes are sent and nothing is kept. Default: native.
            """, valueName: "runtime"
        ),
        transform: Self.runtime
    )
    var runtime: HostRuntime = .native

    /// - Throws: `ValidationError` if it is none.
    static func runtime(_ text: String) throws -> HostRuntime {
        if text == "native" { return .native }
        if text == "python" { return .python(.python) }
        guard text.hasPrefix("python:") else {
            throw ValidationError("--runtime is native, python or python:INTERPRETER, not \"\(text)\"")
        }
        let runtime = PythonRuntime.python(String(text.dropFirst("python:".count)))
        do { _ = try runtime.script() } catch { throw ValidationError("--runtime: \(error)") }
        return .python(runtime)
    }

    /// A way in that leads to this runtime.
    func applied(to way: WayIn) -> WayIn {
        guard case .python(let runtime) = runtime else { return way }
        var way = way
        way.python = runtime
        return way
    }

    var python: PythonRuntime? { if case .python(let runtime) = runtime { runtime } else { nil } }
}
