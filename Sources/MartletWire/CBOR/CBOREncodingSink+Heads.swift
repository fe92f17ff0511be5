extension CBOREncodingSink {
    /// The argument of the head at `start` and how many bytes the head has.
    func readHead(_ start: Int) -> (count: Int, width: Int) {
        let short = writer.bytes[start] & 0x1f
        guard short >= 24 else { return (Int(short), 1) }
        let width = 1 << Int(short - 24)
        var count = 0
        for byte in writer.bytes[(start + 1)...].prefix(width) { count = count << 8 | Int(byte) }
        return (count, width + 1)
    }

    /// A head of the major type of `initial`.
    static func makeHead(_ initial: UInt8, _ count: Int) -> [UInt8] {
        var head = CBORWriter()
        head.writeHead(initial >> 5, UInt64(count))
        return head.bytes
    }

    @inline(never)
    func countInLongHead(_ start: Int) {
        if writer.bytes[start] >> 5 == 2 { expandBytes(start) }
        let head = readHead(start)
        replaceHead(start, width: head.width, count: head.count + 1)
    }

    /// Writes a new count into the head of the innermost open container, whose elements move if the head grows.
    func replaceHead(_ start: Int, width: Int, count: Int) {
        let new = Self.makeHead(writer.bytes[start], count)
        let growth = new.count - width
        guard growth != 0 else {
            for index in new.indices { writer.bytes[start + index] = new[index] }
            return
        }
        writer.bytes.replaceSubrange(start..<start + width, with: new)
        for index in late.indices where late[index].head > start {
            late[index].head += growth
            late[index].end += growth
        }
    }

    // MARK: Bytes written as elements

    /// Appends bytes to the unkeyed container at `start`. One that has nothing else in it becomes a byte string.
    func appendBytes(_ content: UnsafeRawBufferPointer, to start: Int) {
        let head = readHead(start)
        let major = writer.bytes[start] >> 5
        if major == 2 || head.count == 0 {
            writer.bytes[start] = writer.bytes[start] & 0x1f | 0x40
            replaceHead(start, width: head.width, count: head.count + content.count)
            writer.bytes.append(contentsOf: content)
        } else {
            for byte in content { writer.write(UInt64(byte)) }
            replaceHead(start, width: head.width, count: head.count + content.count)
        }
    }

    /// Makes the byte string at `start` an array of numbers, because something else becomes its element.
    func expandBytes(_ start: Int) {
        let head = readHead(start)
        let content = start + head.width..<start + head.width + head.count
        var array = CBORWriter()
        array.writeArrayHead(head.count)
        for byte in writer.bytes[content] { array.write(UInt64(byte)) }
        writer.bytes.replaceSubrange(start..<content.upperBound, with: array.bytes)
    }
}
