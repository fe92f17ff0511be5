public import Glibc

/// The processes of this machine, as `/proc` shows them.
public enum ProcessTable {
    /// One process. Equal to another entry only if it is the very same process: a number that was given to a new process
    /// since is told apart by its start time.
    public struct Entry: Sendable, Hashable, CustomStringConvertible {
        /// The process's number.
        public let pid: Int32
        /// The number of its parent when it was read.
        public let parent: Int32
        /// The number of its process group when it was read.
        public let group: Int32
        /// Its state when it was read: `R`, `S`, `D`, `T` (stopped), `Z` (ended, not yet reaped by its parent)...
        public let state: Character
        /// When it was started, in clock ticks since the machine was.
        public let startTime: UInt64
        /// Its name, at most 15 bytes.
        public let name: String

        /// Its arguments, read now; empty if it has ended.
        public var commandLine: [String] {
            let bytes = ProcFile.bytes("/proc/\(pid)/cmdline") ?? []
            return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        }

        /// Whether it ended and waits for its parent to reap it.
        public var isZombie: Bool { state == "Z" || state == "X" }

        /// Whether this very process still runs. A zombie does not.
        public var isAlive: Bool {
            guard let now = ProcessTable.entry(of: pid) else { return false }
            return now == self && !now.isZombie
        }

        /// Sends a signal, unless the process has ended and its number may be another's.
        ///
        /// - Parameter number: The signal. Default `SIGKILL`.
        /// - Returns: Whether it was sent.
        @discardableResult
        public func send(signal number: Int32 = SIGKILL) -> Bool {
            ProcessTable.entry(of: pid) == self && kill(pid, number) == 0
        }

        /// The number, the state and the arguments.
        public var description: String {
            let arguments = commandLine.joined(separator: " ")
            let what = isZombie ? "\(name), ended but not reaped" : arguments.isEmpty ? name : arguments
            return "process \(pid) (\(what.prefix(200)))"
        }

        /// Whether both are the very same process.
        public static func == (left: Entry, right: Entry) -> Bool {
            left.pid == right.pid && left.startTime == right.startTime
        }

        /// Hashes what makes a process the same.
        public func hash(into hasher: inout Hasher) {
            hasher.combine(pid)
            hasher.combine(startTime)
        }
    }

    /// The process with this number, or nil if there is none.
    public static func entry(of pid: Int32) -> Entry? {
        // The name stands in parentheses and may hold any byte, so what follows is counted from the last one.
        guard let text = ProcFile.text("/proc/\(pid)/stat"), let open = text.firstIndex(of: "("),
            let close = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let parent = Int32(fields[1]),
            let group = Int32(fields[2]), let startTime = UInt64(fields[19])
        else { return nil }
        let name = String(text[text.index(after: open)..<close])
        return Entry(pid: pid, parent: parent, group: group, state: state, startTime: startTime, name: name)
    }

    /// All processes, zombies included.
    public static func all() -> [Entry] {
        ProcFile.numbers(in: "/proc").compactMap(entry(of:))
    }

    /// The children of a process, their children, and so on; zombies included.
    ///
    /// - Parameter pid: The process to begin at. Default this one.
    public static func descendants(of pid: Int32 = getpid()) -> [Entry] {
        descendants(of: pid, in: all())
    }

    static func descendants(of pid: Int32, in table: [Entry]) -> [Entry] {
        let children = Dictionary(grouping: table, by: \.parent)
        var found: [Entry] = []
        var open = [pid]
        while let parent = open.popLast() {
            let next = children[parent] ?? []
            found += next
            open += next.map(\.pid)
        }
        return found
    }

    /// The running processes that have a text in their environment or their arguments: what a test started, wherever it
    /// hangs in the tree by now. This process and its own ancestors are left out.
    ///
    /// - Parameter marker: The text, best a unique one.
    public static func carrying(_ marker: String) -> [Entry] {
        let marker = Array(marker.utf8)
        return others(in: all()) { entry in
            ["environ", "cmdline"].contains { file in
                ProcFile.bytes("/proc/\(entry.pid)/\(file)").map { $0.contains(marker) } ?? false
            }
        }
    }

    /// The running processes that use something inside a directory: their executable, working directory or an open file.
    /// This process and its own ancestors are left out.
    static func using(directory: String) -> [Entry] {
        others(in: all()) { entry in
            let process = "/proc/\(entry.pid)"
            let links = ["exe", "cwd"] + ProcFile.numbers(in: "\(process)/fd").map { "fd/\($0)" }
            return links.contains { ProcFile.link("\(process)/\($0)")?.hasPrefix(directory + "/") ?? false }
        }
    }

    private static func others(in table: [Entry], where matches: (Entry) -> Bool) -> [Entry] {
        let byNumber = Dictionary(table.map { ($0.pid, $0) }, uniquingKeysWith: { first, _ in first })
        var own: Set<Int32> = []
        var next: Int32? = getpid()
        while let pid = next, own.insert(pid).inserted { next = byNumber[pid]?.parent }
        return table.filter { !$0.isZombie && !own.contains($0.pid) && matches($0) }
    }
}
