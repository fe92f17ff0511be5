import Martlet
import MartletFleet

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
        describe: @escaping @Sendable (Value, ConnectTimings, inout JSONObject) -> Void,
        onAnswer: @escaping @Sendable (Value, ConnectTimings, Host) -> Void,
        _ work: @escaping @Sendable (Context, Host) async throws -> Value
    ) async throws -> Int32 {
        var options = MartletOptions()
        options.images = try AgentImage.find(agent).images
        options.onOutput = session.contextOutput
        let fleet = Fleet(hosts: hosts, wayIn: wayIn, strategy: FleetStrategy(limit: limit))
        let results = try await withMartlet(options) { controller in
            try await fleet.each(
                controller, session,
                onResult: { (result: HostResult<Value>) in
                    // Whose turn never came has nothing to tell.
                    if result.isNotStarted { return }
                    if json {
                        session.output.say(object(event, result, describe).finished)
                    } else if let value = result.value, let timings = result.timings {
                        onAnswer(value, timings, result.host)
                    } else if let error = result.error {
                        let text = HarmlessText.of(error.description, keepsLines: true)
                        let label = session.output.errorStyle.bad("\(result.host.label): error:")
                        session.output.say("\(label) \(text)", to: .error)
                    }
                }, work)
        }
        if results.hosts.contains(where: \.isUnreachable) { return ExitStatus.unreachable }
        return results.hosts.allSatisfy { $0.error == nil } ? ExitStatus.success : ExitStatus.failed
    }

    private func object<Value: Sendable>(
        _ event: String,
        _ result: HostResult<Value>,
        _ describe: (Value, ConnectTimings, inout JSONObject) -> Void
    ) -> JSONObject {
        var object = JSONObject(event: event, result.host)
        object.add("connect", result.timings?.total)
        if let value = result.value, let timings = result.timings { describe(value, timings, &object) }
        object.add("error", result.error.map(JSONObject.init(error:)))
        return object
    }
}
