import ArgumentParser
import Martlet

/// How what many hosts say is printed.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Print JSON: one object a line.")
    var json = false

    @Flag(help: "Print lines without the host in front; of one host, byte for byte what the command writes.")
    var noPrefix = false

    @Flag(name: .shortAndLong, help: "No progress, and a summary only if something failed.")
    var quiet = false

    @Flag(
        name: [.customShort("b"), .long],
        help: "At the end print each output once, under the names of all hosts that have it.")
    var gather = false

    @Flag(help: "As --gather, but of outputs that most hosts do not have only what differs.")
    var diff = false

    func validate() throws {
        if json, gather || diff { throw ValidationError("--gather and --diff are for people: --json tells each line") }
        if noPrefix, gather || diff { throw ValidationError("--no-prefix tells each line, --gather each output once") }
    }

    func reporter(_ output: Output, _ hosts: [Host]) -> any RunReporter {
        if json { return JSONReporter(output, hosts: hosts) }
        let text = TextReporter(output, hosts: hosts, hasPrefix: !noPrefix, isQuiet: quiet)
        return gather || diff ? GatheringReporter(output, text, hosts: hosts, showsDifferences: diff) : text
    }
}
