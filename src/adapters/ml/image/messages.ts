// What the process that decodes images is asked, and answers.

export interface ImageResize {
  width: number;
  height: number;
  method?: 'bilinear' | 'nearest';
  fit?: 'fill' | 'cover';
  antialias?: boolean;
}

export interface DecodeRequest {
  images: readonly { bytes: Uint8Array; path: string }[];
  /** 1 for grey, 3 for RGB, 4 for RGB and alpha. */
  channels: 1 | 3 | 4;
  /** Without it all images must be of one size. */
  resize: ImageResize | undefined;
}

/** Pixels of all images, row by row, their channels beside one another: [images, height, width, channels]. */
export interface DecodeAnswer {
  width: number;
  height: number;
  pixels: Uint8Array;
}
