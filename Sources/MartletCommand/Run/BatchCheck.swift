import Martlet
import MartletFleet
import MartletPython

/// What came of the check behind a batch, on each host where the work had succeeded.
struct BatchCheck: Error, CustomStringConvertible {
    /// From 1 on.
    let number: Int
    let count: Int
    let hosts: [HostResult<Void>]

    var failures: [HostResult<Void>] { hosts.filter { $0.outcome.kind != .ok } }
    var isGood: Bool { failures.isEmpty }
    /// On which hosts it is not good.
    var description: String { "on \(NodeSet.fold(failures.map(\.host.label)))" }

    /// What `--verify` does on each host; nil without it.
    ///
    /// It throws ``CommandError`` if the line fails, with what that said last.
    static func of(
        _ line: String?, _ options: CommandOptions = .init(), in python: PythonRuntime?
    ) -> (@Sendable (Context) async throws -> Void)? {
        guard let line else { return nil }
        var options = options
        options.outputLimit = 64 << 10
        let settled = options
        return { context in
            _ = try await python.runner(in: context).run(line, options: settled, onLine: nil).accepted([0])
        }
    }

    /// For people: who is not good, and what the command said there.
    func words(_ style: Style) -> String {
        let batch = "batch \(number) of \(count)"
        if isGood { return style.faint("\(batch) is good, says --verify") }
        return failures.map { failure in
            let name = style.host(failure.host.label, named: failure.host.name.text)
            guard let result = (failure.outcome.error as? CommandError)?.result else {
                return "\(name): \(style.bad("error:")) \(HarmlessText.of(failure.reason ?? ""))"
            }
            let what = style.bad("\(batch) is not good: \(result.termination.words) of --verify")
            let said = HarmlessText.of(result.text + result.errorText, keepsLines: true)
            return (["\(name): \(what)"] + said.split(separator: "\n").suffix(10).map { "  \($0)" })
                .joined(separator: "\n")
        }.joined(separator: "\n")
    }

    /// For machines.
    var object: JSONObject {
        var object = JSONObject()
        object.add("event", "check")
        object.add("batch", number)
        object.add("batches", count)
        object.add("ok", isGood)
        object.add("failed", failures.map(\.host.name.text))
        return object
    }
}
