import Dispatch
import Martlet
import MartletFleet
import MartletPython
import MartletReactor
import MartletWire
import Synchronization

/// Hands what contexts print to whoever shows hosts' lines.
final class PrintedLines: Sendable {
    private struct State {
        var hosts: [ContextAddress: Host] = [:]
        /// What is to be printed there to mark a place, and has not come.
        var marks: [[UInt8]: Gate] = [:]
    }

    private let session: Session
    private let state = Mutex(State())

    init(_ session: Session) { self.session = session }

    /// Lines from that context are the host's from now on.
    func add(_ host: Host, _ address: ContextAddress) { state.withLock { $0.hosts[address] = host } }

    /// For ``MartletOptions/onOutput``, which may block: so whoever prints waits for a slow reader of ours.
    func handler(_ reporter: any RunReporter) -> @Sendable (ContextOutput) -> Void {
        let other = session.contextOutput
        return { [self] line in
            guard let host = state.withLock({ $0.hosts[line.address] }) else { return other(line) }
            // A line that had no end when the mark was printed stands before it.
            let text = line.bytes.dropLast(Self.markSize)
            let mark = state.withLock { $0.marks.removeValue(forKey: Array(line.bytes.suffix(Self.markSize))) }
            if mark == nil || !text.isEmpty {
                Self.show(mark == nil ? line.bytes : Array(text), line.pipe, host, reporter)
            }
            mark?.open()
        }
    }

    private static func show(
        _ bytes: [UInt8], _ pipe: OutputLine.Pipe, _ host: Host, _ reporter: any RunReporter
    ) {
        let shown = DispatchSemaphore(value: 0)
        // Awaited right here, by a thread.
        Task(executorPreference: Reactor.shared) {
            await reporter.line(OutputLine(pipe: pipe, bytes: bytes, end: .lineFeed), from: host)
            shown.signal()
        }
        shown.wait()
    }

    private static let markSize = 32

    /// Waits until what was printed there has come, so that what a function returns stands behind what it printed. Two seconds
    /// at most: somebody else may print without end.
    func drain(_ py: PythonContext) async {
        let mark = (0..<Self.markSize).map { _ in UInt8.random(in: 97...122) }
        let place = Gate()
        state.withLock { $0.marks[mark] = place }
        let line = PythonValue.bytes(mark + [0x0A])
        let printed = try? await py.apply("os.write", [1, line], deadline: .seconds(2))
        if printed == nil { place.open() }
        await Pause.wait(.seconds(2), until: place)
        state.withLock { $0.marks[mark] = nil }
    }
}
