/// What all containers of one encoding write into.
///
/// A container is named by where its head stands. Every container starts as an empty one with a head of one byte, and
/// each element raises the count in that head; when the count outgrows the head, the elements move up.
///
/// `Codable` lets a value hold several containers of its own at once. As long as only the innermost open one is written
/// to, everything is an append (`top == start`). Writing to an outer one closes the inner ones; what still comes for a
/// closed container is collected in a sink of its own and put in place when the value is complete: see `+Late`.
final class CBOREncodingSink {
    struct Frame {
        var start: Int
        var step: CBORPathStep
        /// Asked for by `nestedContainer`, so that it may be closed by writing to an outer one. Others are values whose
        /// `encode(to:)` is running.
        var isNested: Bool
    }

    // Only one container writes at a time, and none of these is passed inout to code of the user's.
    @exclusivity(unchecked) var writer = CBORWriter()
    /// The start of the innermost open value; -1 once the encoding is over.
    @exclusivity(unchecked) var top = 0
    /// The open values, the root excepted.
    @exclusivity(unchecked) var frames: [Frame] = []
    @exclusivity(unchecked) var late: [LateContainer] = []
    /// What went wrong in a function that cannot throw. It fails the encoding in the end.
    @exclusivity(unchecked) var failure: (any Error)?
    @exclusivity(unchecked) private(set) var base = 0
    let limits: CBORLimits
    let userInfo: [CodingUserInfoKey: any Sendable]
    let basePath: [any CodingKey]
    let baseDepth: Int

    init(
        limits: CBORLimits, userInfo: [CodingUserInfoKey: any Sendable], basePath: [any CodingKey] = [],
        baseDepth: Int = 0
    ) {
        self.limits = limits
        self.userInfo = userInfo
        self.basePath = basePath
        self.baseDepth = baseDepth
    }

    func start(with bytes: inout [UInt8]) {
        swap(&writer.bytes, &bytes)
        base = writer.bytes.count
        top = base
    }

    /// After this, a container that somebody kept can only throw.
    func finish(giving bytes: inout [UInt8]) {
        swap(&writer.bytes, &bytes)
        top = -1
        frames = []
        late = []
    }

    // MARK: Elements

    /// Where the next element of a container goes: nearly always to the end of this sink.
    @inline(__always)
    func open(_ start: Int) throws -> (sink: CBOREncodingSink, start: Int) {
        if top == start { return (self, start) }
        return try reopen(start)
    }

    /// Writes the encoding of a value that is no common type. `mark` is where to cut off if that fails.
    func encodeNested<T: Encodable>(_ value: T, step: CBORPathStep, mark: Int) throws {
        let parent = top
        let frameMark = frames.count
        let lateMark = late.count
        do {
            let start = writer.bytes.count
            frames.append(Frame(start: start, step: step, isNested: false))
            guard baseDepth + frames.count <= limits.maximumDepth else { throw tooDeep(value) }
            top = start
            try value.encode(to: CBORValueEncoder(sink: self, start: start, depth: frames.count))
            if writer.bytes.count == start { writer.bytes.append(0xa0) }
            if late.count > lateMark { splice(from: lateMark) }
        } catch {
            writer.bytes.removeLast(writer.bytes.count - mark)
            late.removeLast(late.count - lateMark)
            frames.removeLast(frames.count - frameMark)
            top = parent
            throw error
        }
        if frames.count == frameMark + 1 {
            frames.removeLast()
        } else {
            frames.removeLast(frames.count - frameMark)
        }
        top = parent
    }

    /// Adds one to the count in the head of the container at `start`.
    @inline(__always)
    func countElement(_ start: Int) {
        let head = writer.bytes[start]
        if head >= 0x80, head & 0x1f < 23 {
            writer.bytes[start] = head &+ 1
        } else {
            countInLongHead(start)
        }
    }

    // MARK: Containers

    /// Where a container writes: its sink, the place of its head, how many frames lead to it.
    typealias Place = (sink: CBOREncodingSink, start: Int, depth: Int)

    /// Starts a container, or finds the one that was started here before, when an encoder is asked twice.
    func openContainer(_ start: Int, depth: Int, head: UInt8) -> Place {
        if top == start, writer.bytes.count == start {
            guard baseDepth + depth < limits.maximumDepth else { return fail(tooDeep(nil), head: head) }
            writer.bytes.append(head)
        } else if start >= writer.bytes.count || writer.bytes[start] & 0xe0 != head {
            return fail(misuse("A container was asked for where a value had been encoded.", start, depth), head: head)
        }
        return (self, start, depth)
    }

    /// Starts a container that is an element of the one at `outer`. `key` writes the key, if it has one.
    func openNested(in outer: Int, head: UInt8, step: CBORPathStep, key: (inout CBORWriter) -> Void) -> Place {
        do {
            let (sink, home) = try open(outer)
            guard sink.canNest else { throw sink.tooDeep(nil) }
            key(&sink.writer)
            // First the count, which may move what stands after the head.
            sink.countElement(home)
            let start = sink.writer.bytes.count
            sink.writer.bytes.append(head)
            sink.frames.append(Frame(start: start, step: step, isNested: true))
            sink.top = start
            return (sink, start, sink.frames.count)
        } catch {
            return fail(error, head: head)
        }
    }

    /// Whether an element of the innermost open container may itself be a container.
    @inline(__always)
    var canNest: Bool { baseDepth + frames.count + 1 < limits.maximumDepth }

    // MARK: Failures

    /// Keeps the error and hands out a container that leads nowhere. Its sink is as deep as can be, so that a value
    /// that nests without end stops there too.
    func fail(_ error: any Error, head: UInt8) -> Place {
        failure = failure ?? error
        let sink = CBOREncodingSink(
            limits: limits, userInfo: userInfo, basePath: basePath, baseDepth: limits.maximumDepth
        )
        sink.writer.bytes = [head]
        return (sink, 0, 0)
    }

    func misuse(_ text: String, _ start: Int, _ depth: Int) -> EncodingError {
        EncodingError.invalidValue(
            Optional<Int>.none as Any, .init(codingPath: path(start, depth), debugDescription: text)
        )
    }

    func tooDeep(_ value: Any?) -> EncodingError {
        EncodingError.invalidValue(
            value as Any,
            .init(
                codingPath: basePath + frames.compactMap(\.step.codingKey),
                debugDescription: "The value is nested deeper than the limit of \(limits.maximumDepth)."
            )
        )
    }

    /// The coding path of the value at `start`, below `depth` open ones.
    func path(_ start: Int, _ depth: Int) -> [any CodingKey] {
        if depth > 0, depth > frames.count || frames[depth - 1].start != start,
            let closed = late.last(where: { $0.id == start })
        {
            return closed.path
        }
        return basePath + frames.prefix(depth).compactMap(\.step.codingKey)
    }
}
