import MartletFleet

import func MartletOperations.shellQuoted

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Runs of the journal, for people and for machines.
struct JournalText: Sendable {
    private let output: Output

    init(_ output: Output) { self.output = output }

    // MARK: People

    func tell(_ runs: [JournalRun], _ counts: [Int64: [Verdict?: Int]]) {
        var table = Table(["RUN", "BEGAN", "TOOK", "HOSTS", "OUTCOME", "WHAT"], rightAligned: [0, 2, 3])
        for run in runs {
            let what = "\(run.kind) \(run.line)".truncated(to: 60)
            table.add([
                "\(run.id ?? 0)", Self.localTime(run.began), took(run), "\(run.hosts)",
                outcome(run, counts[run.id ?? 0] ?? [:], end: run.hasFailedCheck ? "check failed" : nil),
                HarmlessText.of(what),
            ])
        }
        for (index, line) in table.lines.enumerated() { output.say(index == 0 ? output.style.heading(line) : line) }
    }

    func tell(_ run: JournalRun, _ hosts: [JournalHost]) {
        let style = output.style
        var counts: [Verdict?: Int] = [:]
        for host in hosts { counts[host.verdict, default: 0] += 1 }
        output.say(style.heading("run \(run.id ?? 0)") + ": " + HarmlessText.of("martlet \(run.kind) \(run.line)"))
        if !run.options.isEmpty {
            output.say("options: " + HarmlessText.of(run.options.map(shellQuoted).joined(separator: " ")))
        }
        if !run.variables.isEmpty { output.say("variables: " + HarmlessText.of(run.variables.joined(separator: " "))) }
        output.say("in \(HarmlessText.of(run.directory)), \(Self.localTime(run.began)), took \(took(run))")
        output.say(outcome(run, counts, end: run.stop.map { HarmlessText.of($0) }))
        var table = Table(["HOST", "OUTCOME", "TOOK", "WHY"], rightAligned: [2])
        for host in hosts {
            let time = host.duration.map { Format.duration(.seconds($0)) } ?? ""
            let cells = [host.label, host.verdict?.words ?? unknown(run), time, host.reason ?? ""]
            table.add(cells.map { HarmlessText.of($0) })
        }
        for (index, line) in table.lines.enumerated() { output.say(index == 0 ? style.heading(line) : line) }
    }

    private func took(_ run: JournalRun) -> String {
        run.ended.map { Format.duration(.seconds(max(0, $0 - run.began))) } ?? "-"
    }

    /// `18 succeeded, 2 failed; check failed`
    ///
    /// - Parameter end: what stopped it. That it was interrupted is said where no host says so.
    private func outcome(_ run: JournalRun, _ counts: [Verdict?: Int], end: String?) -> String {
        let known = Verdict.allCases.compactMap { verdict in counts[verdict].map { "\($0) \(verdict.words)" } }
        let hosts = (known + (counts[nil].map { ["\($0) \(unknown(run))"] } ?? [])).joined(separator: ", ")
        let saysInterrupted = counts[.interrupted] != nil || counts[.notStarted] != nil
        let end = end ?? (run.wasInterrupted && !saysInterrupted ? "interrupted" : nil)
        return end.map { "\(hosts); \($0)" } ?? hosts
    }

    /// Of a host of which nothing became known.
    private func unknown(_ run: JournalRun) -> String { run.isGoingOn ? "going on" : "unfinished" }

    private static func localTime(_ seconds: Double) -> String {
        time(seconds, "%Y-%m-%d %H:%M:%S") { localtime_r($0, $1) }
    }

    private static func time(
        _ seconds: Double, _ format: String,
        _ split: (UnsafePointer<time_t>, UnsafeMutablePointer<tm>) -> UnsafeMutablePointer<tm>?
    ) -> String {
        var (time, parts) = (time_t(seconds), tm())
        guard split(&time, &parts) != nil else { return "?" }
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Machines

    func object(_ run: JournalRun, _ counts: [Verdict?: Int]) -> JSONObject {
        var object = JSONObject()
        object.add("event", "run")
        object.add("run", run.id)
        object.add("kind", run.kind)
        object.add("options", run.options)
        object.add("words", run.words)
        object.add("variables", run.variables)
        object.add("directory", run.directory)
        object.add("began", Self.time(run.began, "%Y-%m-%dT%H:%M:%SZ") { gmtime_r($0, $1) })
        object.add("duration", run.ended.map { Duration.seconds(max(0, $0 - run.began)) })
        object.add("goesOn", run.isGoingOn)
        object.add("status", run.status)
        object.add("stopped", run.stop)
        object.add("hosts", run.hosts)
        for verdict in Verdict.allCases { object.add(verdict.rawValue, counts[verdict] ?? 0) }
        object.add("unknown", counts[nil] ?? 0)
        return object
    }

    func object(_ host: JournalHost, of run: JournalRun) -> JSONObject {
        var object = JSONObject()
        object.add("event", "host")
        object.add("run", run.id)
        object.add("host", host.name)
        object.add("index", host.number)
        object.add("spec", host.spec)
        object.add("outcome", host.verdict?.rawValue)
        object.add("reason", host.reason)
        object.add("connect", host.connect.map { Duration.seconds($0) })
        object.add("duration", host.duration.map { Duration.seconds($0) })
        return object
    }
}

extension JournalRun {
    /// The command, as it would be written for a shell.
    var line: String { words.map(shellQuoted).joined(separator: " ") }
}
