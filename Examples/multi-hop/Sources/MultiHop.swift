@preconcurrency import Glibc
import Martlet

@main struct MultiHop {
    static func main() async {
        let parts = CommandLine.arguments.dropFirst().split(separator: "--", maxSplits: 1)
        guard let hops = parts.first.map(Array.init), !hops.isEmpty, !hops.contains("--help") else {
            print("usage: multi-hop HOP... [-- COMMAND]     each a spec from the one before: bastion db1 sudo:postgres")
            exit(64)
        }
        do {
            let command = parts.dropFirst().first?.joined(separator: " ") ?? "uptime"
            exit(try await follow(hops, command))
        } catch {
            // It says at which hop, in which phase, what the far side said, and what to try.
            fputs("multi-hop: \(error)\n", stderr)
            exit(1)
        }
    }

    /// Goes from hop to hop, tells of each, and runs a command at the end.
    ///
    /// - Returns: the command's exit status.
    static func follow(_ hops: [String], _ command: String) async throws -> CInt {
        try await withMartlet { martlet in
            var here = try await martlet.connect(hops[0])
            try await report(here)
            for hop in hops.dropFirst() {
                // From the machine that we are at: by its ssh and its network. It has a copy of this program, and passes it on.
                here = try await here.connect(hop)
                try await report(here)
            }
            print("$ \(command)")
            let result = try await here.run(command) { line in print(line) }
            guard case .exited(let status) = result.termination else {
                throw MartletError(.misuse, "\(command): \(result.termination)", route: here.route)
            }
            return status
        }
    }

    static func report(_ context: Context) async throws {
        var pings: [Duration] = []
        for _ in 0..<10 { pings.append(try await context.ping()) }
        let (machine, timings) = (context.facts, context.timings)
        print(
            """
            \(context.route)
              \(machine.user)@\(machine.hostname), \(machine.system) \(machine.architecture)
              connected in \(timings.total.milliseconds), \(timings.wasCached ? "from its cache" : "\(timings.bytesSent >> 20) MiB sent")
              a round trip takes \(pings.min()!.milliseconds)
            """)
    }
}

extension Duration {
    fileprivate var milliseconds: String { "\((self / .microseconds(10)).rounded() / 100) ms" }
}
