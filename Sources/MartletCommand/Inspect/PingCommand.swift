import ArgumentParser
import Martlet

/// `martlet ping`.
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "Measure how long hosts take to connect, and round trips to the agent there.",
        discussion: "Exit status: 0 if all answered; 1 if one did not; 3 if a host was not reached."
    )

    @OptionGroup var hostOptions: HostOptions
    @OptionGroup var wayOptions: WayInOptions
    @OptionGroup var runtimeOptions: RuntimeOptions

    @Option(name: .shortAndLong, help: "How many round trips to measure.")
    var count = 10

    @Flag(help: "Print JSON: one object a line, times in seconds.")
    var json = false

    func validate() throws {
        guard count >= 1, count <= 1_000_000 else { throw ValidationError("--count wants a number from 1 to 1000000") }
    }

    func run() async throws {
        let hosts = try hostOptions.choose().hosts
        let command = self
        try await Session.run(colour: wayOptions.color) { try await command.run(on: hosts, $0) }
    }

    private struct RoundTrips: Sendable {
        var minimum: Duration
        var median: Duration
        var maximum: Duration
    }

    private func run(on hosts: [Host], _ session: Session) async throws -> Int32 {
        let width = hosts.map(\.label.count).max() ?? 0
        let style = session.output.style
        let inspection = Inspection(
            hosts: hosts, wayIn: runtimeOptions.applied(to: try wayOptions.wayIn()), limit: hostOptions.limit,
            agent: wayOptions.agent, json: json)
        return try await inspection.run(session, event: "ping") { (trips: RoundTrips, timings, object) in
            object.add("cached", timings.wasCached)
            object.add("bytesSent", timings.bytesSent)
            object.add("min", trips.minimum)
            object.add("median", trips.median)
            object.add("max", trips.maximum)
        } onAnswer: { trips, timings, host in
            let name = style.host(host.label.padded(to: width), named: host.name.text)
            let sent = timings.bytesSent > 0 ? " (sent \(Format.bytes(timings.bytesSent)))" : ""
            session.output.say(
                "\(name)  connect \(Format.duration(timings.total).leftPadded(to: 7))\(sent)  round trip "
                    + "min \(Format.duration(trips.minimum)), median \(Format.duration(trips.median)), "
                    + "max \(Format.duration(trips.maximum))"
            )
        } _: { [count] context, _ in
            // The first one pays for memory that was not touched before.
            _ = try await context.ping()
            var times: [Duration] = []
            for _ in 0..<count { times.append(try await context.ping()) }
            times.sort()
            return RoundTrips(minimum: times[0], median: times[times.count / 2], maximum: times[times.count - 1])
        }
    }
}
