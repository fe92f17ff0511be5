extension CBOREncodingSink {
    /// A part of a value that is written out of order.
    struct LateContainer {
        /// Where the container started, which is its name even after its head has moved; -1 for a super encoder. No two
        /// have the same one: the end of the bytes, where containers start, only grows.
        var id: Int
        var head: Int
        var end: Int
        var path: [any CodingKey]
        /// What came after the container was closed, as a container of the same kind; or the value of a super encoder,
        /// which replaces an empty map.
        var sink: CBOREncodingSink?
    }

    /// Makes the container at `start` the innermost one, or finds the sink of a closed one.
    @inline(never)
    func reopen(_ start: Int) throws -> (sink: CBOREncodingSink, start: Int) {
        var depth = frames.count
        while depth > 0, frames[depth - 1].isNested, frames[depth - 1].start != start { depth -= 1 }
        if top >= 0, start == (depth == 0 ? base : frames[depth - 1].start) {
            closeFrames(above: depth)
            top = start
            return (self, start)
        }
        guard let index = late.lastIndex(where: { $0.id == start }) else {
            throw misuse("A container was written to after its value had been encoded.", start, 0)
        }
        if let sink = late[index].sink { return try sink.open(0) }
        let sink = CBOREncodingSink(
            limits: limits, userInfo: userInfo, basePath: late[index].path,
            baseDepth: baseDepth + late[index].path.count - basePath.count
        )
        sink.writer.bytes = [writer.bytes[late[index].head] & 0xe0]
        late[index].sink = sink
        return (sink, 0)
    }

    private func closeFrames(above depth: Int) {
        // Only the innermost can be bytes, since those have no container in them.
        if let last = frames.last, frames.count > depth, writer.bytes[last.start] >> 5 == 2 { expandBytes(last.start) }
        while frames.count > depth {
            let path = basePath + frames.compactMap(\.step.codingKey)
            let frame = frames.removeLast()
            late.append(
                LateContainer(id: frame.start, head: frame.start, end: writer.bytes.count, path: path, sink: nil)
            )
        }
    }

    /// An encoder for an element that may be written at any time. `key` writes the key, if it has one.
    func makeSuperEncoder(
        in outer: Int, depth: Int, step: CBORPathStep, key: (inout CBORWriter) -> Void
    ) -> CBORValueEncoder {
        let path = path(outer, depth) + [step.codingKey ?? CBORCodingKey.super]
        let sink = CBOREncodingSink(
            limits: limits, userInfo: userInfo, basePath: path,
            baseDepth: baseDepth + path.count - basePath.count
        )
        do {
            let (target, home) = try open(outer)
            key(&target.writer)
            target.countElement(home)
            let place = target.writer.bytes.count
            target.writer.bytes.append(0xa0)
            target.late.append(LateContainer(id: -1, head: place, end: place + 1, path: [], sink: sink))
        } catch {
            failure = failure ?? error
        }
        return CBORValueEncoder(sink: sink, start: 0, depth: 0)
    }

    /// How many elements the container at `start` has.
    func elementCount(_ start: Int) -> Int {
        if top != start, let closed = late.last(where: { $0.id == start }) {
            return readHead(closed.head).count + (closed.sink?.readHead(0).count ?? 0)
        }
        return start < writer.bytes.count ? readHead(start).count : 0
    }

    /// Puts what was written late in its place, when the value that it belongs to is complete.
    func splice(from mark: Int) {
        var edits: [Edit] = []
        for item in late[mark...] {
            guard let sink = item.sink else { continue }
            if !sink.late.isEmpty { sink.splice(from: 0) }
            failure = failure ?? sink.failure
            let content = sink.writer.bytes
            if item.id < 0 {
                guard !content.isEmpty else { continue }
                edits.append(Edit(range: item.head..<item.end, owner: item.head, bytes: content[...]))
            } else {
                if content[0] >> 5 == 2 { sink.expandBytes(0) }
                let old = readHead(item.head)
                let new = sink.readHead(0)
                let head = Self.makeHead(writer.bytes[item.head], old.count + new.count)
                edits.append(Edit(range: item.head..<item.head + old.width, owner: item.head, bytes: head[...]))
                let rest = sink.writer.bytes.dropFirst(new.width)
                edits.append(Edit(range: item.end..<item.end, owner: item.head, bytes: rest))
            }
        }
        late.removeLast(late.count - mark)
        guard !edits.isEmpty else { return }
        edits.sort(by: Edit.precedes)
        var result = Array(writer.bytes[..<edits[0].range.lowerBound])
        var position = result.count
        for edit in edits {
            result += writer.bytes[position..<edit.range.lowerBound]
            result += edit.bytes
            position = edit.range.upperBound
        }
        result += writer.bytes[position...]
        writer.bytes = result
    }

    private struct Edit {
        var range: Range<Int>
        /// The head of the container that it belongs to.
        var owner: Int
        var bytes: ArraySlice<UInt8>

        /// What ends at a place comes before what starts there, and of several ends the innermost container's first.
        static func precedes(_ a: Edit, _ b: Edit) -> Bool {
            if a.range.lowerBound != b.range.lowerBound { return a.range.lowerBound < b.range.lowerBound }
            if a.range.isEmpty != b.range.isEmpty { return a.range.isEmpty }
            return a.owner > b.owner
        }
    }
}
