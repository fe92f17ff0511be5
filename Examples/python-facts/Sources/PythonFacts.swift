@preconcurrency import Glibc
import Martlet
import MartletFleet
import MartletPython

/// What `lib/survey.py` returns, as Swift has it.
struct Survey: Codable, Sendable {
    struct Process: Codable, Sendable {
        var name: String
        var megabytes: Int
    }

    var python: String
    var machine: String
    var ports: [Int]
    var processes: [Process]
}

@main struct PythonFacts {
    static func main() async {
        let hosts = Array(CommandLine.arguments.dropFirst())
        guard !hosts.isEmpty, !hosts.contains("--help") else {
            print("usage: python-facts HOST...     to be run where lib/survey.py is")
            exit(64)
        }
        do {
            let results = try await withMartlet { martlet in
                // Nothing of ours is written there and nothing is installed: the hosts' own Python takes a few kilobytes, and
                // imports our module from here as it imports any other.
                let python = try martlet.group(hosts).python(.python.importing(from: "lib"))
                return try await python.call("survey:gather", 3, timeout: .seconds(30), returning: Survey.self)
            }
            for (host, survey) in results.successes {
                print("\(host): Python \(survey.python) on \(survey.machine)")
                print("  listens on \(survey.ports.map(String.init).joined(separator: ", "))")
                for process in survey.processes { print("  \(process.name): \(process.megabytes) MiB") }
            }
            // Throws if a host failed: with its exception and traceback, or why it could not be reached.
            try results.get()
        } catch {
            fputs("python-facts: \(error)\n", stderr)
            exit(1)
        }
    }
}
