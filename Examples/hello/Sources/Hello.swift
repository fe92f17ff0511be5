@preconcurrency import Glibc
import Martlet

/// What is to happen on the other machine: a `Codable` value with a `run`. There is nothing to register.
struct Greet: RemoteTask {
    var name: String

    func run(in context: RemoteContext) async throws -> String {
        // This runs over there, in a copy of this program. Its `main` does not.
        var load = 0.0
        getloadavg(&load, 1)
        return "hello \(name), this is process \(getpid()); the load is \(load)"
    }
}

@main struct Hello {
    static func main() async {
        let hosts = CommandLine.arguments.dropFirst()
        guard !hosts.isEmpty, !hosts.contains("--help") else {
            print("usage: hello HOST...     a host as ssh knows it, or a spec: user@web1:2222, ssh:bastion/ssh:db1")
            exit(64)
        }
        do {
            try await withMartlet { martlet in
                for host in hosts {
                    let there = try await martlet.connect(host)
                    let machine = there.facts
                    print(
                        "\(host): \(machine.system) \(machine.release) on \(machine.architecture), user \(machine.user)"
                    )
                    print("\(host): \(try await there.call(Greet(name: "world")))")

                    // A program's status is a result, not an error.
                    let uptime = try await there.run("uptime -p || uptime")
                    print("\(host): \(uptime.lines.first ?? "no output"), \(uptime.termination)")
                }
            }  // The copies are gone here, and whatever they had started.
        } catch {
            fputs("hello: \(error)\n", stderr)
            exit(1)
        }
    }
}
