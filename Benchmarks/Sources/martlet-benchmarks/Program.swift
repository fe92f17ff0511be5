import Martlet

/// One case in a process of its own: runs it and prints one line of JSON. `Benchmarks/run` takes turns among such
/// processes.
@main
struct Program {
    static func main() async {
        var arguments = CommandLine.arguments.dropFirst()
        guard let name = arguments.popFirst(), let body = Cases.all[name] else {
            print("usage: martlet-benchmarks CASE [--OPTION VALUE]...")
            print("cases: \(Cases.all.keys.sorted().joined(separator: " "))")
            exitProcess(2)
        }
        let options = Options(arguments)
        do {
            let sample = try await withMartlet(options.martlet) { try await body($0, options) }
            print(sample.line(name))
        } catch {
            print(Sample.failure(name, "\(error)"))
            exitProcess(1)
        }
    }
}
