import Martlet
import MartletFleet

/// Tells machines what happens: one JSON object a line on standard output, nothing else.
struct JSONReporter: RunReporter {
    private let output: Output
    private let lanes: [OutputLane]

    init(_ output: Output, hosts: [Host]) {
        self.output = output
        lanes = hosts.map { _ in output.makeLane() }
    }

    func line(_ line: OutputLine, from host: Host) async {
        var object = JSONObject(event: "line", host)
        object.add("pipe", line.pipe == .output ? "stdout" : "stderr")
        object.add("text", bytes: line.bytes)
        await lanes[host.index].write(Array((object.finished + "\n").utf8))
    }

    func item(_ json: String, from host: Host) async {
        var object = JSONObject(event: "item", host)
        object.add("value", json: json)
        await lanes[host.index].write(Array((object.finished + "\n").utf8))
    }

    func retrying(_ host: Host, after pause: Duration, _ error: any Error) {
        var object = JSONObject(event: "retry", host)
        object.add("after", pause)
        object.add("error", (error as? MartletError).map(JSONObject.init(error:)))
        output.say(object.finished)
    }

    func ended(_ result: HostResult<CommandResult>) {
        var object = JSONObject(event: "result", result.host)
        let ending = result.command?.termination
        object.add("ok", result.verdict == .succeeded)
        object.add("exit", ending?.exitCode)
        object.add("signal", ending?.signalName)
        object.add("timedOut", result.outcome.kind == .timedOut)
        object.add(endOf: result)
        output.say(object.finished)
    }

    func checked(_ check: BatchCheck) { output.say(check.object.finished) }

    func summarize(_ summary: RunSummary<CommandResult>) { output.say(summary.object.finished) }
}

extension JSONObject {
    init(event: String, _ host: Host) {
        add("event", event)
        add("host", host.name.text)
        add("index", host.index)
    }

    init(error: MartletError) {
        add("code", error.code.rawValue)
        add("message", error.message)
        add("phase", error.phase?.rawValue)
        add("route", error.route.description)
        add("detail", error.detail)
        add("advice", error.advice)
    }
}

extension Termination {
    /// Nil if it did not end by itself.
    fileprivate var exitCode: Int32? { if case .exited(let code) = self { code } else { nil } }
}
