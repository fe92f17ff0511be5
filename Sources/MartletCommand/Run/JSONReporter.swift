import Martlet

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

    func ended(_ outcome: HostOutcome<CommandResult>) {
        output.say(Self.result(outcome).finished)
    }

    static func result(_ outcome: HostOutcome<CommandResult>) -> JSONObject {
        var object = JSONObject(event: "result", outcome.host)
        var (exit, signal, timedOut): (Int32?, String?, Bool) = (nil, nil, false)
        if case .value(let result) = outcome.result {
            signal = result.termination.signalName
            switch result.termination {
            case .exited(let code): exit = code
            case .signalled: break
            case .timedOut: timedOut = true
            }
        }
        object.add("ok", outcome.verdict == .succeeded)
        object.add("exit", exit)
        object.add("signal", signal)
        object.add("timedOut", timedOut)
        object.add("interrupted", outcome.verdict == .interrupted || outcome.verdict == .notStarted)
        object.add("connect", outcome.timings?.total)
        object.add("duration", outcome.duration)
        object.add("error", outcome.error.map(JSONObject.init(error:)))
        return object
    }

    func summarize(_ summary: RunSummary) {
        // Hosts whose turn never came have a result too: there is one for each host.
        for outcome in summary.outcomes where outcome.verdict == .notStarted { ended(outcome) }
        var object = JSONObject()
        object.add("event", "summary")
        object.add("hosts", summary.outcomes.count)
        object.add("succeeded", summary.count(.succeeded))
        object.add("failed", summary.count(.failed))
        object.add("unreachable", summary.count(.unreachable))
        object.add("interrupted", summary.count(.interrupted) + summary.count(.notStarted))
        object.add("duration", summary.duration)
        output.say(object.finished)
    }
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

extension HostOutcome {
    var error: MartletError? { if case .failed(let error) = result { error } else { nil } }
}
