import ArgumentParser
import Martlet

/// `martlet specs`.
struct SpecsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "specs",
        abstract: "Tell how ways in are written, or how a spec is understood.",
        discussion: "Connects to nothing."
    )

    @Argument(help: "Specs to read; ranges are expanded.")
    var specs: [String] = []

    @Option(help: "When to use colours: auto, always or never.")
    var color: ColourChoice = .auto

    func validate() throws { _ = try HostOptions.names(specs) }

    func run() async throws {
        let names = try HostOptions.names(specs)
        try await Session.run(colour: color) { session in
            let style = session.output.style
            let lines = names.isEmpty ? Self.explanation(style) : names.flatMap { Self.lines(of: $0.route, style) }
            for line in lines { session.output.say(line) }
            return ExitStatus.success
        }
    }

    private static func lines(of route: RouteSpec, _ style: Style) -> [String] {
        var lines = [style.heading(route.description)]
        for (index, hop) in route.hops.enumerated() {
            lines.append("  \(index + 1)  \(hop.label)")
            for option in hop.options {
                let value = option.value.map { " = \(HarmlessText.of($0))" } ?? ""
                lines.append("       \(option.name)\(value)")
            }
        }
        return lines
    }

    private static func explanation(_ style: Style) -> [String] {
        var lines = """
            A spec is one hop or several, separated by /. A hop is its kind, behind a colon where it leads, and behind a
            question mark its options, separated by &. A first hop that is no kind is a host for ssh.

              web1    root@web1:2222    ssh:bastion/ssh:db1    ssh:web1?identity=~/.ssh/key&option=Compression=yes/local:

            A path begins with /, ~ or . and goes on until & or /kind: with its colon. Else a / in a text is written %2F,
            as are others of / ? & % where they mean something: %3F %26 %25. Quote specs for your shell.

            """.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let kinds = ConnectorKind.ofCommandLine
        let width = kinds.flatMap { [$0.form.count] + $0.options.map { $0.form.count + 2 } }.max() ?? 0
        for kind in kinds {
            lines.append("\(style.heading(kind.form.padded(to: width)))  \(kind.summary)")
            for option in kind.options {
                let more = option.isRepeatable ? "; may be repeated" : ""
                lines.append("  \(option.form.padded(to: width - 2))  \(style.faint(option.meaning + more))")
            }
        }
        return lines
    }
}
