import MartletReactor
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Takes an executable that comes as a command's input; all of it on the polling thread.
final class ImageIntake: Sendable {
    private struct State {
        /// Where it is written; -1 when that is over, as what is open for writing cannot be executed.
        var file: Int32
        var received = 0
        var isOver = false
        var sink: ByteSink?
        var process: ChildProcess?
    }

    /// How it is to come.
    let wish: CommandImageWish
    private let image: SentImage
    private let state: Mutex<State>
    private let onConsumed: @Sendable (Int) -> Void
    private let onEnd: @Sendable (Result<SentImage, SystemError>) -> Void

    /// - Parameter onEnd: told once what came of it, unless it is cancelled.
    init(
        _ wanted: CommandImage, _ runtime: ContextRuntime, onConsumed: @escaping @Sendable (Int) -> Void,
        onEnd: @escaping @Sendable (Result<SentImage, SystemError>) -> Void
    ) throws(SystemError) {
        guard wanted.byteCount > 0, wanted.byteCount <= SentImages.limit else {
            throw SystemError(EFBIG, "take an executable of \(wanted.byteCount) bytes")
        }
        let environment = ProcessEnvironment.current
        let gzip =
            wanted.offersGzip ? try? ProgramSearch.find("gzip", path: environment["PATH"]) : nil
        var file: Int32 = -1
        image = try SentImage.make(wanted.byteCount, runtime.images.policy) { file = $0.writeEnd }
        state = Mutex(State(file: file))
        wish = gzip == nil ? .raw : .gzip
        self.onConsumed = onConsumed
        self.onEnd = onEnd
        guard let gzip else { return }
        let input = try Pipe()
        defer { closeDescriptor(input.readEnd) }
        do {
            let process = try ChildProcess.spawn(
                SpawnRequest(
                    path: gzip, arguments: ["gzip", "-dc"], environment: environment.strings,
                    descriptors: (input.readEnd, file, 2)),
                reactor: runtime.reactor
            ) { [self] status in finish(status == .exited(0) ? nil : EILSEQ) }
            let sink = ByteSink(input.writeEnd, reactor: runtime.reactor, onWritten: onConsumed)
            state.withLock { ($0.process, $0.sink) = (process, sink) }
        } catch {
            closeDescriptor(input.writeEnd)
            throw error
        }
    }

    deinit { closeFile() }

    private func closeFile() {
        let file = state.withLock { state in
            defer { state.file = -1 }
            return state.file
        }
        if file >= 0 { closeDescriptor(file) }
    }

    /// Takes what has come; nothing is the end of it.
    func received(_ bytes: UnsafeRawBufferPointer) {
        let sink = state.withLock { $0.sink }
        guard !bytes.isEmpty else {
            if let sink { sink.finish() } else { finish(nil) }
            return
        }
        if let sink { return sink.write(Array(bytes)) }
        defer { onConsumed(bytes.count) }
        let (file, isWanted) = state.withLock { state in
            state.received += bytes.count
            return (state.file, !state.isOver && state.received <= image.byteCount)
        }
        var offset = 0
        while isWanted, offset < bytes.count {
            let count = write(file, bytes.baseAddress! + offset, bytes.count - offset)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return finish(errno) }
            offset += count
        }
    }

    /// It is not wanted any more.
    func cancel() {
        let (sink, process) = state.withLock { state in
            defer { (state.isOver, state.sink) = (true, nil) }
            return (state.sink, state.process)
        }
        sink?.close()
        process?.end(grace: 0)
    }

    private func finish(_ error: Int32?) {
        let isFirst = state.withLock { state in
            defer { (state.isOver, state.sink) = (true, nil) }
            return !state.isOver
        }
        guard isFirst else { return }
        closeFile()
        var information = stat()
        let isWhole = fstat(image.descriptor, &information) == 0 && Int(information.st_size) == image.byteCount
        if error == nil, isWhole { return onEnd(.success(image)) }
        onEnd(.failure(SystemError(error ?? EIO, "take the executable that was sent")))
    }
}
