/**
 * Floating-point operations of the convolutions and products that CLIP's ResNet needs: forward alone, and with both
 * gradients. The first convolution needs no input gradient; attention pooling projects one row an image.
 */
export function resNetFlops({ imageSize, layers, width, heads, outputWidth }, batch) {
  const half = width / 2;
  let side = imageSize / 2;
  const first = side ** 2 * 27 * half;
  let products = side ** 2 * 9 * half * (half + width);
  side /= 2;
  let input = width;
  layers.forEach((depth, layer) => {
    const inner = width * 2 ** layer;
    for (let block = 0; block < depth; block++) {
      const outer = layer > 0 && block === 0 ? side / 2 : side;
      products += side ** 2 * (input * inner + 9 * inner ** 2) + outer ** 2 * 4 * inner * (inner + (block === 0 ? input : 0));
      side = outer;
      input = 4 * inner;
    }
  });
  products += 3 * input ** 2 + 2 * heads * (side ** 2 + 1) * input + input * outputWidth;
  return { forward: 2 * batch * (first + products), step: 2 * batch * (2 * first + 3 * products) };
}
