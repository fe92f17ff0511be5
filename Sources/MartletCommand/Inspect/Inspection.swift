import Martlet

/// Asks every host the same and tells each answer as it comes: what `ping`, `facts` and `clean` have in common.
struct Inspection: Sendable {
    var hosts: [Host]
    var wayIn: WayIn
    var limit: Int
    var agent: String?
    var json: Bool

    /// - Parameters:
    ///   - event: the name of the objects of `--json`.
    ///   - describe: adds an answer to such an object.
    ///   - onAnswer: gets each answer, unless it is printed as JSON.
    /// - Returns: what to exit with.
    func run<Value: Sendable>(
        _ session: Session,
        event: String,
        describe: @Sendable (Value, ConnectTimings, inout JSONObject) -> Void,
        onAnswer: @Sendable (Value, ConnectTimings, Host) -> Void,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async throws -> Int32 {
        var options = MartletOptions()
        options.images = try AgentImage.find(agent).images
        options.onOutput = session.contextOutput
        let fleet = Fleet(hosts: hosts, wayIn: wayIn, limit: limit)
        let outcomes = try await withMartlet(options) { controller in
            await fleet.run(controller, session.interruption) { (outcome: HostOutcome<Value>) in
                if json {
                    session.output.say(object(event, outcome, describe).finished)
                } else if case .value(let value) = outcome.result, let timings = outcome.timings {
                    onAnswer(value, timings, outcome.host)
                } else if let error = outcome.error {
                    let text = HarmlessText.of(error.description, keepsLines: true)
                    let label = session.output.errorStyle.bad("\(outcome.host.label): error:")
                    session.output.say("\(label) \(text)", to: .error)
                }
            } _: { context, host in
                try await work(context, host)
            }
        }
        if outcomes.contains(where: \.isUnreachable) { return ExitStatus.unreachable }
        return outcomes.allSatisfy { $0.error == nil } ? ExitStatus.success : ExitStatus.failed
    }

    private func object<Value: Sendable>(
        _ event: String,
        _ outcome: HostOutcome<Value>,
        _ describe: (Value, ConnectTimings, inout JSONObject) -> Void
    ) -> JSONObject {
        var object = JSONObject(event: event, outcome.host)
        object.add("connect", outcome.timings?.total)
        if case .value(let value) = outcome.result, let timings = outcome.timings { describe(value, timings, &object) }
        object.add("error", outcome.error.map(JSONObject.init(error:)))
        return object
    }
}
