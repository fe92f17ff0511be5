import MartletFleet

/// Who is where, in a few lines for the end of a terminal: each with how many and who they are.
///
///     12 of 20 done, 34 s, batch 2 of 3
///       failed      2  web[03,07]
///       running     4  web[08-11]
///       waiting     4  web[17-20]
///       succeeded  10  web[01-02,04-06,12-16]
struct FleetView {
    /// How many lines it has at most.
    static let height = 8

    let lines: [StatusLine]

    /// - Parameter lost: of those that are unreachable the ones that had begun.
    init(_ progress: FleetProgress, _ phase: String?, lost: Set<GroupMember> = [], seconds: Int64) {
        let places = progress.places
        var head = "\(progress.endedCount) of \(places.count) done, \(seconds) s"
        if let phase { head += ", \(phase)" }
        let rows: [(name: String, look: StatusLine.Look, isMeant: (FleetProgress.Place) -> Bool)] = [
            ("failed", .bad, { $0 == .ended(.failed) || $0 == .ended(.timedOut) }),
            ("not reached", .bad, { $0 == .ended(.unreachable) }),
            ("lost", .bad, { $0 == .ended(.unreachable) }),
            ("ended early", .warning, { $0 == .ended(.cancelled) || $0 == .ended(.skipped) }),
            ("trying again", .warning, { $0 == .retrying }),
            ("connecting", .plain, { $0 == .connecting }),
            ("running", .plain, { $0 == .running }),
            ("waiting", .faint, { $0 == .waiting }),
            ("succeeded", .good, { $0 == .ended(.ok) }),
        ]
        let width = "\(places.count)".count
        var lines = [StatusLine(head, .heading)]
        for row in rows {
            let names = places.filter { row.isMeant($0.place) && lost.contains($0.member) == (row.name == "lost") }
                .map(\.member.name)
            guard !names.isEmpty else { continue }
            let count = "\(names.count)".leftPadded(to: width)
            lines.append(StatusLine("  \(row.name.padded(to: 12))  \(count)  \(NodeSet.fold(names))", row.look))
        }
        // One more than there is room for is rare: then who is done says least.
        self.lines = Array(lines.prefix(Self.height))
    }
}
